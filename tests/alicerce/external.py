"""Databases that somebody made by hand, as docs/databases.md says, on a server of the tests."""

import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import closing
from io import StringIO
from pathlib import Path
from typing import Any

import psycopg2
from dotenv import dotenv_values

from alicerce.services import services
from tests.api import Answer
from tests.topologies import ROOT, environment, eventually

PAGE = Path(__file__).resolve().parents[2] / "docs" / "databases.md"
PLACE = "db.example.com:5432"


def blocks(kind: str, heading: str) -> list[str]:
    """The blocks of code of one kind below a heading of the page."""
    section = PAGE.read_text("utf-8").partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    found = re.findall(r"^```(\w*)\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)
    return [text for word, text in found if word == kind]


def execute(url: str, script: str) -> list[tuple[Any, ...]]:
    """Run statements one after the other, each by itself, as psql does; the rows of the last."""
    with closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
        connection.autocommit = True
        for statement in filter(str.strip, script.split(";")):
            cursor.execute(statement)
        return cursor.fetchall() if cursor.description else []


def made(admin: str, place: str, nouns: tuple[str, ...] = services()) -> dict[str, str]:
    """Make the databases of services with the SQL of the page; the variables that it tells people to set.

    `place` is host and port at which the roles connect.
    """
    (script,), (settings,) = blocks("sql", "Databases that you make"), blocks("", "Databases that you make")
    found: dict[str, str] = {}
    for noun in nouns:
        execute(admin, script.replace("customer", noun))
        own = settings.replace("CUSTOMER", noun.upper()).replace("customer", noun).replace(PLACE, place)
        found |= {name: str(value) for name, value in dotenv_values(stream=StringIO(own)).items()}
    return found


def prepare(folder: Path, given: Mapping[str, str]) -> None:
    """Migrate before a platform starts in this folder, for which there is less time."""
    line = [sys.executable, "-m", "alicerce", "prepare"]
    subprocess.run(line, cwd=ROOT, env=environment(folder / "alicerce", {}) | given, check=True)


def dropped(admin: str, nouns: tuple[str, ...] = services()) -> None:
    """Remove what `made` made."""
    for noun in nouns:
        execute(admin, f"DROP DATABASE IF EXISTS {noun}_db WITH (FORCE)")
        for role in ("owner", "app", "job"):
            execute(admin, f"DROP ROLE IF EXISTS {noun}_{role}")


def moved(settings: Mapping[str, str], place: str, *endings: str) -> dict[str, str]:
    """The same variables, of which those that end in one of the words lead elsewhere."""
    return {
        name: re.sub(r"@[^/]+/", f"@{place}/", url) if name.endswith(endings) else url for name, url in settings.items()
    }


def insist(ask: Callable[[], Answer]) -> Answer:
    """The answer of a platform that may be too busy at first; it must never be for want of a connection."""

    def answer() -> Answer | None:
        given = ask()
        assert given.status < 500 or given.json["code"] in ("upstream_busy", "unavailable"), given
        return given if given.status < 500 else None

    return eventually(answer, "an answer other than busy")
