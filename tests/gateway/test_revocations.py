"""What the gateway knows about revocations when a source is away, and for how long it remembers."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from types import SimpleNamespace
from uuid import UUID

import pytest
from flask import Flask

from contracts import revocations as contract
from contracts.revocations import Revocation
from gateway.revocations import Revocations, RevocationsUnknown
from kit import clock
from kit.errors import Unavailable
from kit.identity import Identity

PATIENCE_S = 20
POLL_S = 10.0
USER = Identity(user_id=UUID(int=1), tenant_id=UUID(int=2), session_id=UUID(int=3))


class Sources:
    """What each source says when it is asked; one that is away raises."""

    def __init__(self) -> None:
        self.rows: dict[str, list[Revocation]] = {source: [] for source in contract.SOURCES}
        self.away: set[str] = set()
        self.asked = 0
        self.goes_on = threading.Event()
        self.goes_on.set()

    def since(self, source: str, moment: datetime) -> list[Revocation]:
        self.asked += 1
        assert self.goes_on.wait(PATIENCE_S)
        if source in self.away:
            raise Unavailable
        return [row for row in self.rows[source] if row.at >= moment]


@pytest.fixture
def sources(monkeypatch: pytest.MonkeyPatch) -> Sources:
    told = Sources()
    monkeypatch.setattr(contract, "since", told.since)
    monkeypatch.setenv("REVOCATION_POLL_SECONDS", "0")
    return told


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """The monotonic time of the gateway, which stands still."""
    told = SimpleNamespace(s=1000.0)
    monkeypatch.setattr("gateway.revocations.time", SimpleNamespace(monotonic=lambda: told.s))
    monkeypatch.setenv("REVOCATION_POLL_SECONDS", str(POLL_S))
    return told


def read_beside(sources: Sources) -> None:
    """Let the sources answer, and wait until what is read beside the requests has come to its end."""
    sources.goes_on.set()
    for thread in threading.enumerate():
        if thread.name == "revocations":
            thread.join(PATIENCE_S)


def issued() -> int:
    return int(clock.timestamp() * 1000)


def test_before_every_source_was_read_no_token_is_trusted(sources: Sources) -> None:
    sources.away = {"tenant"}
    revocations = Revocations(Flask("gateway"))
    with pytest.raises(RevocationsUnknown):
        revocations.refresh()
    sources.away.clear()
    revocations.refresh()


def test_a_source_that_is_away_does_not_silence_the_others(sources: Sources) -> None:
    revocations = Revocations(Flask("gateway"))
    revocations.refresh()
    before, epoch = issued(), revocations.epoch
    sources.away = {"auth"}
    sources.rows["tenant"] = [Revocation("tenant", str(USER.tenant_id), clock.now())]
    revocations.refresh()
    assert revocations.covers(USER, before)
    assert revocations.epoch == epoch + 1


@pytest.mark.parametrize(
    ("kind", "subject"),
    [
        ("session", UUID(int=3)),
        ("user", UUID(int=1)),
        ("tenant", UUID(int=2)),
        ("membership", f"{UUID(int=1)}:{UUID(int=2)}"),
    ],
)
def test_each_kind_covers_what_was_issued_before_and_nothing_of_others(
    sources: Sources, kind: str, subject: object
) -> None:
    revocations = Revocations(Flask("gateway"))
    before = issued()
    sources.rows["auth"] = [Revocation(kind, str(subject), clock.now())]
    revocations.refresh()
    assert revocations.covers(USER, before)
    assert not revocations.covers(Identity("", *[UUID(int=9)] * 3), before)
    if kind != "session":
        assert not revocations.covers(USER, issued() + 1)


def test_what_is_older_than_any_token_is_forgotten(sources: Sources, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.revocations.TIDY_S", -1.0)
    revocations = Revocations(Flask("gateway"))
    sources.rows["auth"] = [Revocation("session", str(USER.session_id), clock.now())]
    revocations.refresh()
    assert revocations.covers(USER, 0)
    with clock.shifted(timedelta(days=3)):
        revocations.refresh()
    assert not revocations.covers(USER, 0)


def test_who_finds_it_due_does_not_wait_for_it(sources: Sources, now: SimpleNamespace) -> None:
    revocations = Revocations(Flask("gateway"))
    revocations.refresh()
    now.s += POLL_S
    sources.rows["auth"] = [Revocation("user", str(USER.user_id), clock.now())]
    sources.goes_on.clear()
    revocations.refresh()
    assert not revocations.covers(USER, 0)
    read_beside(sources)
    assert revocations.covers(USER, 0)


def test_it_is_not_read_before_it_is_due(sources: Sources, now: SimpleNamespace) -> None:
    revocations = Revocations(Flask("gateway"))
    revocations.refresh()
    now.s += POLL_S - 1
    revocations.refresh()
    read_beside(sources)
    assert sources.asked == len(contract.SOURCES)


def test_after_a_pause_everybody_waits_and_it_is_read_once(sources: Sources, now: SimpleNamespace) -> None:
    revocations = Revocations(Flask("gateway"))
    revocations.refresh()
    now.s += 2 * POLL_S
    sources.rows["auth"] = [Revocation("user", str(USER.user_id), clock.now())]
    sources.goes_on.clear()
    all_ask = threading.Barrier(9)

    def ask(_: int) -> bool:
        all_ask.wait(PATIENCE_S)
        revocations.refresh()
        return revocations.covers(USER, 0)

    with ThreadPoolExecutor(8) as crowd:
        answers = crowd.map(ask, range(8))
        all_ask.wait(PATIENCE_S)
        now.s += 0.001  # who reads now reads later than they asked
        sources.goes_on.set()
        assert list(answers) == [True] * 8
    assert sources.asked <= 3 * len(contract.SOURCES)


def test_while_a_source_fails_one_waits_and_the_others_go_on(sources: Sources, now: SimpleNamespace) -> None:
    revocations = Revocations(Flask("gateway"))
    revocations.refresh()
    sources.away = {"auth"}
    now.s += 2 * POLL_S
    revocations.refresh()
    now.s += 2 * POLL_S
    asked = sources.asked
    sources.goes_on.clear()
    with ThreadPoolExecutor(1) as one:
        waiting = one.submit(revocations.refresh)
        while sources.asked == asked:
            pass
        revocations.refresh()
        assert not waiting.done()
        sources.goes_on.set()
        waiting.result(PATIENCE_S)


def test_a_source_that_talks_nonsense_is_as_one_that_is_away(
    sources: Sources, now: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    revocations = Revocations(Flask("gateway"))
    revocations.refresh()
    monkeypatch.setattr(contract, "since", lambda source, moment: [SimpleNamespace()])
    now.s += POLL_S
    revocations.refresh()
    read_beside(sources)
    now.s += 60 - POLL_S
    revocations.refresh()
    now.s += 1
    with pytest.raises(RevocationsUnknown):
        revocations.refresh()


def test_what_is_believed_is_as_old_as_the_question(
    sources: Sources, now: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    def slowly(source: str, moment: datetime) -> list[Revocation]:
        now.s += POLL_S / 4
        return sources.since(source, moment)

    monkeypatch.setattr(contract, "since", slowly)
    revocations = Revocations(Flask("gateway"))
    asked = now.s
    revocations.refresh()
    sources.rows["auth"] = [Revocation("user", str(USER.user_id), clock.now())]
    now.s = asked + 2 * POLL_S
    revocations.refresh()
    assert revocations.covers(USER, 0)


def test_without_a_thread_to_be_had_it_is_read_by_who_finds_it_old(
    sources: Sources, now: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none_left(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    revocations = Revocations(Flask("gateway"))
    revocations.refresh()
    sources.rows["auth"] = [Revocation("user", str(USER.user_id), clock.now())]
    now.s += POLL_S
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", none_left)
        revocations.refresh()
    now.s += POLL_S
    revocations.refresh()
    assert revocations.covers(USER, 0)


def test_who_asks_while_the_first_reading_goes_on_waits_for_it(sources: Sources, now: SimpleNamespace) -> None:
    revocations = Revocations(Flask("gateway"))
    sources.away = {"auth"}
    with pytest.raises(RevocationsUnknown):
        revocations.refresh()
    sources.away.clear()
    now.s += POLL_S
    revocations.refresh()
