"""Many customers, written past the API with COPY."""

import io
import time
from pathlib import Path
from uuid import uuid4

import psycopg2
from dotenv import dotenv_values

from kit import clock
from kit.search import words

FIRST = ("Ana", "Bruno", "Carla", "Davi", "Elisa", "Fábio", "Joana", "Luís", "Márcia", "Otávio")
LAST = ("Souza", "Lima", "Nunes", "Rocha", "Conceição", "Araújo", "Prado", "Teixeira", "Moraes", "Antunes")
COLUMNS = "tenant_id,id,type,name,emails,phones,addresses,lifecycle_stage,tags,consents,custom,is_active"


def name_of(number: int) -> str:
    """The name of one of many customers."""
    return f"{FIRST[number // 7 % 10]} {LAST[number // 3 % 10]} {number}"


def fill(folder: Path, tenant_id: str, *, tenants: int, customers: int, doubled: int = 0) -> float:
    """Share out customers evenly over tenants, one of which is `tenant_id`; the seconds that COPY took for it.

    The last `doubled` of them have the e-mail address of another. Done as the owner, with the fence lifted.
    """
    owners = [tenant_id, *(str(uuid4()) for _ in range(tenants - 1))]
    tables = {"customer": io.StringIO(), "customer_word": io.StringIO(), "customer_key": io.StringIO()}
    for number in range(customers):
        owner, id_, name = owners[number % tenants], clock.new_id(), name_of(number)
        email = f"c{number - doubled if number >= customers - doubled else number}@example.com"
        moment = clock.now().isoformat()
        tables["customer"].write(
            f'{owner}\t{id_}\tperson\t{name}\t["{email}"]\t[]\t[]\tlead\t[]\t{{}}\t{{}}\tt\t{moment}\t{moment}\t1\n'
        )
        tables["customer_word"].writelines(f"{owner}\t{word}\t{id_}\n" for word in words([name, email]))
        tables["customer_key"].write(f"{owner}\temail:{email}\t{id_}\n")
    return _copy(folder, tables)


def _copy(folder: Path, tables: dict[str, io.StringIO]) -> float:
    columns = {
        "customer": f"{COLUMNS},created_at,updated_at,version",
        "customer_word": "tenant_id,word,record_id",
        "customer_key": "tenant_id,key,record_id",
    }
    url = dotenv_values(folder / "environment")["CUSTOMER_SERVICE_DATABASE_OWNER_URL"]
    with psycopg2.connect(url) as connection, connection.cursor() as cursor:
        started = time.perf_counter()
        for table, rows in tables.items():
            rows.seek(0)
            cursor.execute(f"ALTER TABLE {table} NO FORCE ROW LEVEL SECURITY")
            cursor.copy_expert(f"COPY {table} ({columns[table]}) FROM STDIN", rows)
            cursor.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
    seconds = time.perf_counter() - started
    connection = psycopg2.connect(url)
    connection.autocommit = True
    connection.cursor().execute("VACUUM ANALYZE")  # as autovacuum does within a minute
    connection.close()
    return seconds
