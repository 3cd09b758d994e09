"""One tenant does its worst, from a process of its own; another one works on as if nothing was."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.api import Person, new_person
from tests.faults.books import Books
from tests.faults.load import Load
from tests.tables import Tally
from tests.topologies import ROOT, Running, running

STORMS = {"one batch": 8, "own batches": 8, "exports": 8, "lists": 50, "one row": 50, "slow bodies": 50}
OFF = {f"RATE_LIMIT_{whose}": "0" for whose in ("ADDRESS", "LOGIN", "USER", "TENANT", "TENANT_SECONDS")}
BURST, MEASURED, TRIES = 50, 60, 3
SLOWER, FLOOR_S = 2.0, 0.05  # below the floor, one turn of a neighbour's on two cores doubles a time

pytestmark = pytest.mark.long


@pytest.fixture(scope="module", params=["solo", "split"])
def unlimited(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A platform in which nothing but shares holds anybody back."""
    with running(request.param, tmp_path_factory.mktemp(f"fair-{request.param}"), OFF) as platform:
        yield platform


@contextmanager
def storm(url: str, person: Person, kind: str) -> Iterator[dict[str, int]]:
    """A storm, and how many of its answers had which status, once it is over."""
    words = [sys.executable, "-m", "tests.faults.storms", url, person.token, kind, str(STORMS[kind])]
    statuses: dict[str, int] = {}
    with subprocess.Popen(words, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin and process.stdout
        assert process.stdout.readline() == "raging\n"
        try:
            yield statuses
        finally:
            process.stdin.close()
            statuses |= json.loads(process.stdout.read())


def p95(load: Load, since: float, until: float) -> float:
    times = sorted(a.seconds for a in load.good(since=since) if a.began < until)
    return times[int(len(times) * 0.95)]


@pytest.mark.parametrize("kind", STORMS)
def test_a_tenant_at_its_worst_keeps_nobody_waiting(unlimited: Running, kind: str, tally: Tally) -> None:
    for _ in range(TRIES):
        quiet, wild = Books(new_person(unlimited.url)), new_person(unlimited.url)
        with Load(unlimited.url, [quiet.customer], clients=1) as victim:
            victim.go_on(MEASURED // 3)
            began = time.monotonic()
            victim.go_on(MEASURED)
            with storm(unlimited.url, wild, kind) as statuses:
                loud = time.monotonic()
                victim.go_on(MEASURED)
                over = time.monotonic()
        before, during = p95(victim, began, loud), p95(victim, loud, over)
        if victim.failed() or during <= max(FLOOR_S, SLOWER * before):
            break
    note = f"p95 of others {before * 1000:.0f} -> {during * 1000:.0f} ms; the storm: {statuses}"
    tally(f"{kind}, {unlimited.topology}", tried=len(victim.attempts), bad=len(victim.failed()), note=note)
    assert victim.failed() == []
    assert during <= max(FLOOR_S, SLOWER * before)


def test_a_burst_of_honest_calls_is_queued(unlimited: Running, tally: Tally) -> None:
    books = Books(new_person(unlimited.url))
    with Load(unlimited.url, [books.customer], clients=BURST, pause_s=0.0) as crowd:
        crowd.go_on(2 * BURST)
    tally(f"a burst of {BURST}, {unlimited.topology}", tried=len(crowd.attempts), bad=len(crowd.failed()))
    assert crowd.failed() == []
