"""Clocks that jump, through the seam that the whole platform takes its time from."""

from datetime import timedelta

import pytest

from kit import clock
from tests.api import Person
from tests.tables import Tally

JUMPS = [timedelta(hours=-1), timedelta(minutes=-10), timedelta(minutes=10), timedelta(hours=1)]


@pytest.mark.parametrize("jump", JUMPS, ids=str)
def test_a_clock_that_jumps_logs_nobody_out_and_does_nothing_twice(
    owner: Person, jump: timedelta, tally: Tally
) -> None:
    key = {"Idempotency-Key": f"jump-{jump.total_seconds():.0f}"}
    made = owner.post("/api/customers", {"name": "Ana"}, headers=key).ok(201)
    with clock.shifted(jump):
        again = owner.post("/api/customers", {"name": "Ana"}, headers=key)
        other = owner.post("/api/customers", {"name": "Bia"})
    assert again.status == 401 or again.json == made
    assert other.status in (201, 401)
    assert owner.get("/api/customers").ok()["total"] == 1 + (other.status == 201)
    tally("clock jumps", tried=3)


@pytest.mark.parametrize("jump", JUMPS, ids=str)
def test_a_session_that_ended_stays_ended_when_the_clock_jumps(owner: Person, jump: timedelta) -> None:
    owner.post("/auth/logout", {}).ok()
    with clock.shifted(jump):
        assert owner.get("/api/customers").status == 401
    assert owner.get("/api/customers").status == 401
