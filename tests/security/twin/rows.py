"""What a tenant has in every database: a fingerprint of each table, asked past both fences."""

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, LargeBinary, create_engine, false, or_, pool, select, text

from alicerce.services import services
from kit.connections import normalise
from kit.driver import fused
from tests.security.twin.world import World
from tests.services.helpers import app_of


@contextmanager
def unfenced(service: str) -> Iterator[Connection]:
    """A connection of the owner of a service's tables, from which FORCE is lifted for this transaction only."""
    url = normalise(os.environ[f"{service.upper()}_SERVICE_DATABASE_OWNER_URL"])
    with create_engine(fused(url), poolclass=pool.NullPool).connect() as connection:
        for table in app_of(service).db.metadata.tables:
            connection.execute(text(f'ALTER TABLE "{table}" NO FORCE ROW LEVEL SECURITY'))
        yield connection
        connection.rollback()


def committed(service: str, *statements: str) -> None:
    """Change the tables of a service, as their owner, for everybody."""
    url = normalise(os.environ[f"{service.upper()}_SERVICE_DATABASE_OWNER_URL"])
    with create_engine(fused(url), poolclass=pool.NullPool).begin() as connection:
        for statement in statements:
            connection.execute(text(statement))


def fingerprints(world: World) -> dict[str, tuple[int, str]]:
    """Of each table: how many rows are this tenant's or its people's, and a hash of them."""
    found = {}
    for service in services():
        with unfenced(service) as connection:
            for name, table in app_of(service).db.metadata.tables.items():
                rows = sorted(str(tuple(row)) for row in connection.execute(of(world, select(table), table)))
                found[f"{service}.{name}"] = (len(rows), hashlib.sha256("\n".join(rows).encode()).hexdigest())
    return found


def of(world: World, query: Any, table: Any) -> Any:
    """A query of a table, narrowed to the rows of this tenant and its people."""
    tenant_id, people = UUID(world.variables["tenantId"]), [UUID(id) for id in world.ids["user"]]
    subjects = [str(tenant_id), *world.ids["user"]]
    owners = {"tenant_id": [tenant_id], "user_id": people, "subject": subjects}  # a table without any of them is new
    if "subject" in table.c and isinstance(table.c.subject.type, LargeBinary):
        return query.where(false())  # a keyed hash of an identifier: the row is no tenant's, and names nobody
    return query.where(or_(*(table.c[name].in_(found) for name, found in owners.items() if name in table.c)))
