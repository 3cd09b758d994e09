"""Many customers, written past the API with COPY."""

import io
from pathlib import Path
from uuid import uuid4

import psycopg2
from dotenv import dotenv_values

from kit import clock
from kit.search import words

FIRST = ("Ana", "Bruno", "Carla", "Davi", "Elisa", "Fábio", "Joana", "Luís", "Márcia", "Otávio")
LAST = ("Souza", "Lima", "Nunes", "Rocha", "Conceição", "Araújo", "Prado", "Teixeira", "Moraes", "Antunes")
COLUMNS = "tenant_id,id,type,name,emails,phones,addresses,lifecycle_stage,tags,consents,custom,is_active"


def fill(folder: Path, tenant_id: str, *, tenants: int, customers: int) -> None:
    """Share out customers evenly over tenants, one of which is `tenant_id`; as the owner, with the fence lifted."""
    owners = [tenant_id, *(str(uuid4()) for _ in range(tenants - 1))]
    rows, found = io.StringIO(), io.StringIO()
    for number in range(customers):
        owner, id_ = owners[number % tenants], clock.new_id()
        name = f"{FIRST[number // 7 % 10]} {LAST[number // 3 % 10]} {number}"
        moment = clock.now().isoformat()
        plain = f"{owner}\t{id_}\tperson\t{name}\t[]\t[]\t[]\tlead\t[]\t{{}}\t{{}}\tt\t{moment}\t{moment}\t1\n"
        rows.write(plain)
        found.writelines(f"{owner}\t{word}\t{id_}\n" for word in words([name]))
    rows.seek(0)
    found.seek(0)
    url = dotenv_values(folder / "environment")["CUSTOMER_SERVICE_DATABASE_OWNER_URL"]
    with psycopg2.connect(url) as connection, connection.cursor() as cursor:
        for table in ("customer", "customer_word"):
            cursor.execute(f"ALTER TABLE {table} NO FORCE ROW LEVEL SECURITY")
        cursor.copy_expert(f"COPY customer ({COLUMNS},created_at,updated_at,version) FROM STDIN", rows)
        cursor.copy_expert("COPY customer_word (tenant_id,word,record_id) FROM STDIN", found)
        for table in ("customer", "customer_word"):
            cursor.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
    connection = psycopg2.connect(url)
    connection.autocommit = True
    connection.cursor().execute("ANALYZE")
    connection.close()
