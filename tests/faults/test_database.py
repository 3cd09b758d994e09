"""Postgres that hangs, breaks off, is locked or has no room: named refusals in time, and nothing lost."""

import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg2
import pytest
from dotenv import dotenv_values

from alicerce.postgres import EmbeddedPostgres
from tests.api import new_person
from tests.faults import proxy
from tests.faults.books import Books
from tests.faults.load import Load
from tests.faults.proxy import Fault, FaultProxy
from tests.tables import Tally
from tests.topologies import Running, eventually, running

BUDGET_S = 10.0  # kit.deadline
MARGIN_S = 3.0  # and a second for each of the two sources of revocations, before the budget begins
RECOVERY_S = 30.0
BEFORE, AFTER, FAILED = 20, 30, 4
DISK_MIB = 400
KEPT_MIB = 1

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def wire(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Running, FaultProxy]]:
    """A platform in split whose Postgres is reached through a proxy."""
    postgres = EmbeddedPostgres(tmp_path_factory.mktemp("postgres"))
    url = postgres.start()
    try:
        with FaultProxy(postgres.port) as between:
            given = {"DATABASE_SERVER_URL": url.replace(f":{postgres.port}/", f":{between.port}/")}
            with running("split", tmp_path_factory.mktemp("wire"), given) as platform:
                yield platform, between
    finally:
        postgres.stop()


def survive(load: Load, books: Books, fault: str, healed: float, tally: Tally, *statuses: int) -> None:
    """After the block: nothing lost, nothing late, every refusal one of these statuses, and soon well again."""
    found = books.check(load)
    recovery = load.recovered(healed)
    odd = [a for a in load.failed() if a.status not in statuses]
    late = [a for a in load.attempts if a.seconds > BUDGET_S + MARGIN_S]
    note = f"{found.acknowledged} acknowledged, {len(load.failed())} failed tries, recovery {recovery:.1f} s"
    tally(fault, tried=len(load.attempts), bad=found.bad + len(odd) + len(late), note=note)
    assert (found.bad, odd, late) == (0, [], []), found
    assert recovery < RECOVERY_S


FAULTS: dict[str, Fault] = {
    "reset": proxy.reset,
    "truncated": proxy.truncate,
    "garbage": proxy.garbage,
    "silent": proxy.stop,
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_broken_wire_to_postgres_loses_nothing(wire: tuple[Running, FaultProxy], name: str, tally: Tally) -> None:
    platform, between = wire
    books = Books(new_person(platform.url))
    with Load(platform.url, [books.customer, books.payment]) as load:
        load.go_on(BEFORE)
        began = time.monotonic()
        between.set(FAULTS[name])
        eventually(lambda: len(load.failed(since=began)) >= FAILED, f"{FAILED} failures: {load.said()}")
        between.set(proxy.nothing)
        healed = time.monotonic()
        load.go_on(AFTER)
    survive(load, books, f"Postgres behind a wire: {name}", healed, tally, 409, 502, 503, 504)


def test_a_locked_row_is_refused_in_time_and_holds_up_nobody_else(split: Running, tally: Tally) -> None:
    books = Books(new_person(split.url))
    url = dotenv_values(split.home / "environment")["INTERACTION_SERVICE_DATABASE_OWNER_URL"]
    with Load(split.url, [books.customer, books.payment]) as load, psycopg2.connect(url) as holder:
        load.go_on(BEFORE)
        with holder.cursor() as cursor:
            cursor.execute("SET LOCAL app.tenant_id = %s", (books.owner.tenant_id,))
            cursor.execute("SELECT id FROM transaction WHERE id = %s FOR UPDATE", (books.debt,))
            assert cursor.fetchall()
        locked = time.monotonic()
        eventually(lambda: len(load.failed("payment", since=locked)) >= FAILED, "payments are refused")
        load.go_on(BEFORE, "customer")
        holder.rollback()
        healed = time.monotonic()
        load.go_on(AFTER, "payment")
    holder.close()
    assert all(a.retry_after for a in load.failed() if a.status == 503)
    survive(load, books, "locked row", healed, tally, 409, 503, 504)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own, for everything that a platform writes."""
    place = tmp_path / "alicerce"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={DISK_MIB}m,mode=0755", "tmpfs", str(place)],
        check=False,
        capture_output=True,
    )
    if mounted.returncode:
        pytest.skip("A full disk is a small file system of its own, which only root may mount.")
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


def fill(place: Path) -> Path:
    """Leave next to no room."""
    ballast = place / "ballast"
    with ballast.open("wb") as file:
        while (free := shutil.disk_usage(place).free) > KEPT_MIB * 1024**2:
            file.write(bytes(min(free - KEPT_MIB * 1024**2, 16 * 1024**2) or 1))
            file.flush()
    return ballast


def test_a_full_disk_loses_nothing_and_heals_by_itself(small_disk: Path, tmp_path: Path, tally: Tally) -> None:
    with running("solo", tmp_path) as platform:
        books = Books(new_person(platform.url))
        with Load(platform.url, [books.customer, books.payment, books.product]) as load:
            load.go_on(BEFORE)
            full = time.monotonic()
            ballast = fill(small_disk)
            eventually(lambda: len(load.failed(since=full)) >= FAILED, f"it is full: {load.said()}")
            ballast.unlink()
            healed = time.monotonic()
            load.go_on(AFTER, "customer")
        survive(load, books, "full disk", healed, tally, 409, 502, 503, 504)
