"""The checks of the databases by `make doctor`: reachable, new enough, of the same time, safe to use, migrated."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import psycopg2
from psycopg2.extensions import connection

from alicerce import control, databases
from alicerce.databases import execute, reason
from alicerce.doctor.findings import Finding, ok, problem, warning
from alicerce.postgres import ready_pid
from alicerce.services import services, without_database
from kit.config import ConfigurationError

CLOCKS_DIFFER_S = 2.0  # tokens live for a minute, and their times are compared with a few seconds of grace


def servers(folder: Path) -> Iterator[Finding]:
    """Each server that some service uses."""
    urls = {}
    if without_database(services()) and (databases.DATABASE_SERVER_URL() or ready_pid(folder) is not None):
        urls["the databases' server"] = databases.server_url()
    elif without_database(services()):
        yield ok("postgres", "the embedded one does not run")
    for noun in services():
        if noun not in without_database(services()):
            urls[noun] = databases.owner_url(noun)
    for name, url in urls.items():
        yield from _server(name, url)


@contextmanager
def connect(url: str, **options: str) -> Iterator[connection]:
    """A connection in autocommit mode. Raises ConfigurationError that names the server and its reason."""
    doing = f"Reaching Postgres at {place_of(url)}"
    try:
        opened = psycopg2.connect(url, connect_timeout=databases.CONNECT_SECONDS, **options)
    except psycopg2.Error as error:
        raise ConfigurationError(f"{doing} failed, no connection: {reason(error)}.") from error
    try:
        opened.autocommit = True
        yield opened
    except psycopg2.Error as error:
        raise ConfigurationError(f"{doing} failed: {reason(error)}.") from error
    finally:
        opened.close()


def place_of(url: str) -> str:
    """Return host and port of a URL."""
    return urlsplit(url).netloc.rpartition("@")[2]


def _server(name: str, url: str) -> Iterator[Finding]:
    place = place_of(url)
    try:
        with connect(url) as opened:
            major = opened.server_version // 10000
            if opened.server_version < databases.OLDEST_VERSION:
                oldest = databases.OLDEST_VERSION // 10000
                yield problem("postgres", f"{place} runs Postgres {major}.", f"use {oldest} or newer")
            else:
                yield ok("postgres", f"{place} runs Postgres {major} ({name})")
            before = datetime.now(UTC)
            theirs = execute(opened, "SELECT clock_timestamp()")[0][0]
            apart = max((before - theirs).total_seconds(), (theirs - datetime.now(UTC)).total_seconds())
    except ConfigurationError as error:
        yield problem("postgres", str(error), f"start it, or correct the URL of {name}")
        return
    if apart > CLOCKS_DIFFER_S:
        advice = "synchronise both clocks (NTP): tokens and jobs compare times"
        yield problem("clock", f"{place} and this machine differ by {apart:,.1f} s.", advice)
    else:
        yield ok("clock", f"{place} shows the time of this machine")


def migrations(folder: Path) -> Iterator[Finding]:
    """Whether each database is at the newest revision of this code."""
    if without_database(services()) and not databases.DATABASE_SERVER_URL() and ready_pid(folder) is None:
        yield ok("migrations", "not looked at: the embedded Postgres does not run")
        return
    late = []
    for noun in services():
        try:
            applied, newest = databases.applied(noun, databases.owner_url(noun)), databases.newest(noun)
        except ConfigurationError as error:
            advice = "`make run` (or `python -m alicerce prepare`) makes databases and roles"
            yield problem("migrations", str(error), advice)
            return
        if (applied or "") > (newest or ""):
            message = f"{noun} is at revision {applied}, and this code ends at {newest}."
            yield problem("migrations", message, "run the code that made it, or restore a backup of before")
        elif applied != newest:
            late.append(noun)
    if late:
        say = problem if folder.exists() and control.supervisor() else warning
        yield say("migrations", f"{', '.join(late)} lack revisions.", "`make migrate`; `make run` does it as well")
    else:
        yield ok("migrations", "every database is at its newest revision")
