"""More than it can do, and somebody who asks too much: refused at once, and nobody else has to pay for it."""

import time
from collections.abc import Iterator

import pytest

from tests.api import new_person
from tests.faults.books import Books
from tests.faults.load import Load
from tests.tables import Tally
from tests.topologies import Running, eventually, running

CROWD = 160  # more than may wait for one service
NOISY = 6  # with the victim fewer than may wait for one service
QUOTA = 300
RECOVERY_S = 30.0
SLOWER, FLOOR_S, TRIES, MEASURED = 1.5, 0.1, 3, 60

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def limited(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A platform with a low quota for each person."""
    settings = {"RATE_LIMIT_USER": str(QUOTA)}
    with running("split", tmp_path_factory.mktemp("limited"), settings) as platform:
        yield platform


def test_more_than_the_threads_is_refused_quickly_and_passes(split: Running, tally: Tally) -> None:
    books = Books(new_person(split.url))
    with Load(split.url, [books.customer], clients=CROWD, pause_s=0.0) as crowd:
        crowd.go_on(3 * CROWD)
        eventually(lambda: len(crowd.failed()) >= CROWD, f"more than it can do: {crowd.said()}")
    over = time.monotonic()
    with Load(split.url, [books.customer], clients=1) as load:
        recovery = load.recovered(over)
        load.go_on(10)
    refused = crowd.failed()
    waited = sorted(a.seconds for a in refused)[len(refused) // 2]
    impolite = [a for a in refused if a.status not in (429, 503) or not a.retry_after]
    found = books.check(crowd)
    note = (
        f"{found.acknowledged} acknowledged, {len(refused)} refused, half in {waited:.1f} s, recovery {recovery:.1f} s"
    )
    tally("overload", tried=len(crowd.attempts), bad=found.bad + len(impolite), note=note)
    assert (found.bad, impolite) == (0, []), found
    assert load.failed() == []
    assert recovery < RECOVERY_S


def test_a_noisy_tenant_is_held_back_and_the_others_notice_nothing(limited: Running, tally: Tally) -> None:
    for _ in range(TRIES):
        quiet, noisy = (Books(new_person(limited.url)) for _ in range(2))
        with Load(limited.url, [quiet.product], clients=1) as victim:
            began = time.monotonic()
            victim.go_on(MEASURED)
            with Load(limited.url, [noisy.product], clients=NOISY) as noise:
                eventually(lambda: len(noise.failed()) >= NOISY, "the noise is held back")
                loud = time.monotonic()
                victim.go_on(MEASURED)
                over = time.monotonic()
        before, during = victim.p99(began, loud), victim.p99(loud, over)
        if during <= max(FLOOR_S, SLOWER * before):
            break
    held_back = noise.failed()
    note = f"{len(held_back)} held back, p99 of others {before * 1000:.0f} -> {during * 1000:.0f} ms"
    tally("noisy tenant", tried=len(noise.attempts), bad=len(victim.failed()), note=note)
    assert {(a.status, bool(a.retry_after)) for a in held_back} == {(429, True)}
    assert victim.failed() == []
    assert during <= max(FLOOR_S, SLOWER * before)
