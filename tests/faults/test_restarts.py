"""What is done to a platform on purpose while people work: nobody may notice."""

import subprocess
import sys
from collections.abc import Callable

import pytest

from tests.api import new_person
from tests.faults.books import Books
from tests.faults.load import Load
from tests.tables import Tally
from tests.topologies import ROOT, Running, environment, eventually

PATIENCE_S = 120.0
AFTER = 20

pytestmark = pytest.mark.long


def command(platform: Running, *words: str) -> None:
    """Do what a person would do at the command line."""
    subprocess.run(
        [sys.executable, "-m", "alicerce", *words],
        check=True,
        cwd=ROOT,
        env=environment(platform.home, platform.ports),
        capture_output=True,
        timeout=60,
    )


def unnoticed(platform: Running, event: str, happen: Callable[[], None], tally: Tally) -> None:
    """Nothing that was asked meanwhile fails, and nothing is lost."""
    books = Books(new_person(platform.url))
    with Load(platform.url, [books.customer, books.payment, books.product]) as load:
        load.go_on(AFTER)
        happen()
        load.go_on(AFTER)
    found = books.check(load)
    longest = max(a.seconds for a in load.attempts)
    note = f"{found.acknowledged} acknowledged, {len(load.failed())} failed tries, longest {longest:.1f} s"
    tally(event, tried=len(load.attempts), bad=found.bad + len(load.failed()), note=note)
    assert load.failed() == []
    assert found.bad == 0, found


def restarted(platform: Running) -> None:
    said = "Alicerce has restarted."
    before = platform.output.read_text().count(said)
    command(platform, "restart")
    eventually(lambda: platform.output.read_text().count(said) > before, said, PATIENCE_S)


def test_a_rolling_restart_fails_no_request(split: Running, tally: Tally) -> None:
    unnoticed(split, "rolling restart (split)", lambda: restarted(split), tally)


def test_a_restart_of_solo_fails_no_request(solo: Running, tally: Tally) -> None:
    unnoticed(solo, "restart (solo)", lambda: restarted(solo), tally)


@pytest.mark.parametrize("topology", ["solo", "split"])
def test_new_keys_fail_no_request(topology: str, request: pytest.FixtureRequest, tally: Tally) -> None:
    platform: Running = request.getfixturevalue(topology)
    unnoticed(platform, f"key rotation ({topology})", lambda: command(platform, "rotate-keys"), tally)
