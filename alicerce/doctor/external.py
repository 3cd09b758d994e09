"""Checks of `make doctor` on servers that Alicerce does not run: roles, backups, room for connections."""

import os
from collections.abc import Iterator
from pathlib import Path

from alicerce import access, databases
from alicerce.backup.databases import POOLER, fenced_role, of_services, session
from alicerce.databases import execute
from alicerce.doctor.databases import connect, place_of
from alicerce.doctor.findings import Finding, ok, problem, warning
from alicerce.postgres import ready_pid
from alicerce.services import services, without_database
from alicerce.supervise import TOPOLOGY
from kit.config import WEB_THREADS, ConfigurationError
from kit.connections import DB_CONNECTIONS
from kit.pool import most_of

ROOM = """
    SELECT sum(CASE name WHEN 'max_connections' THEN setting::int ELSE -setting::int END)::int FROM pg_settings
    WHERE name IN ('max_connections', 'superuser_reserved_connections', 'reserved_connections')
"""


def roles(folder: Path) -> Iterator[Finding]:
    """Check the roles of each external database."""
    listed = access.faults(services())
    for fault in listed:
        yield problem("access", fault.message, fault.mend)
    if not listed:
        external = [noun for noun in services() if noun not in without_database(services())]
        yield ok(
            "access",
            f"the roles of {', '.join(external)} are as they have to be" if external else "no database is external",
        )


def backups(folder: Path) -> Iterator[Finding]:
    """Check that a backup may read past row-level security."""
    if _is_away(folder):
        yield ok("backups", "not looked at: the embedded Postgres does not run")
        return
    roles: dict[str, None] = {}
    faults = []
    for database in of_services(services()):
        try:
            with session(database.maintenance, f"Reaching {database.service} for a backup") as admin:
                roles[fenced_role(admin)] = None
        except ConfigurationError as error:
            faults.append(str(error))
    for fault in faults:
        yield warning("backups", "`make backup` would be refused.", fault)
    if names := [name for name in roles if name]:
        sql = "\n".join(f"ALTER ROLE {access.quoted(name)} BYPASSRLS;" for name in names)
        advice = f"set DATABASE_ADMIN_URL to a role that does; or let a superuser run:\n{sql}"
        who = f"{', '.join(names)} {'do' if len(names) > 1 else 'does'} not see past row-level security"
        yield warning("backups", f"`make backup` would be refused: {who}.", advice)
    elif not faults:
        yield ok("backups", "every database can be read as a whole")


def connections(folder: Path) -> Iterator[Finding]:
    """Check that each server has room for the connections of all processes."""
    if _is_away(folder):
        yield ok("connections", "not looked at: the embedded Postgres does not run")
        return
    servers: dict[str, tuple[str, list[str]]] = {}
    for noun in services():
        url = _url(noun)
        servers.setdefault(place_of(url), (url, []))[1].append(noun)
    for place, (url, nouns) in servers.items():
        yield from _room(place, url, nouns)


def _is_away(folder: Path) -> bool:
    ours = without_database(services())
    return bool(ours) and not databases.DATABASE_SERVER_URL() and ready_pid(folder) is None


def _url(noun: str) -> str:
    """Return the URL of a service; the administrator's where Alicerce makes the database."""
    if noun in without_database(services()):
        return databases.server_of(databases.server_url(), noun)
    return access.ExternalDatabase(noun).urls["APP"]


def connections_needed(nouns: list[str], most: int | None = None) -> int:
    """Return how many connections the processes of these services hold at most, while one of them is replaced.

    `most` stands for DB_CONNECTIONS, of which the largest of its services holds for a process.
    """
    groups = [[noun] for noun in nouns] if TOPOLOGY() == "split" else [nouns]
    workers = max(1, int(os.environ.get("WEB_CONCURRENCY") or 1))  # as gunicorn reads it
    each = [
        most_of(most or max(DB_CONNECTIONS.of(noun) for noun in group), len(group), WEB_THREADS()) for group in groups
    ]
    return workers * (sum(each) + max(each))


def _room(place: str, url: str, nouns: list[str]) -> Iterator[Finding]:
    needed = connections_needed(nouns)
    try:
        with connect(url, options="-c row_security=off") as opened:
            room = execute(opened, ROOM)[0][0]
    except ConfigurationError as error:
        if POOLER in str(error):
            message = f"{place} is PgBouncer, and all processes open up to {needed}"
            yield ok("connections", f"{message}: its max_client_conn has to be at least that")
        else:
            yield problem("connections", str(error), "start it, or correct its URL")
        return
    if needed <= room:
        yield ok("connections", f"{place} has room for {room}, and all processes open up to {needed}")
        return
    fits = max((most for most in range(2, needed) if connections_needed(nouns, most) <= room), default=0)
    smaller = f"DB_CONNECTIONS={fits} (of one process), or " if fits else ""
    yield warning(
        "connections",
        f"{place} has room for {room} connections, and all processes may open {needed}, one of them being replaced.",
        f"set {smaller}max_connections of that server to {needed + 10}",
    )
