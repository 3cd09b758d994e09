"""What the gateway knows about revocations when a source is away, and for how long it remembers."""

from datetime import datetime, timedelta
from uuid import UUID

import pytest
from flask import Flask

from contracts import revocations as contract
from contracts.revocations import Revocation
from gateway.revocations import Revocations, RevocationsUnknown
from kit import clock
from kit.errors import Unavailable
from kit.identity import Identity

USER = Identity(user_id=UUID(int=1), tenant_id=UUID(int=2), session_id=UUID(int=3))


class Sources:
    """What each source says when it is asked; one that is away raises."""

    def __init__(self) -> None:
        self.rows: dict[str, list[Revocation]] = {source: [] for source in contract.SOURCES}
        self.away: set[str] = set()

    def since(self, source: str, moment: datetime) -> list[Revocation]:
        if source in self.away:
            raise Unavailable
        return [row for row in self.rows[source] if row.at >= moment]


@pytest.fixture
def sources(monkeypatch: pytest.MonkeyPatch) -> Sources:
    told = Sources()
    monkeypatch.setattr(contract, "since", told.since)
    monkeypatch.setenv("REVOCATION_POLL_SECONDS", "0")
    return told


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
