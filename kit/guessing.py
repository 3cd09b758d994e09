"""Guessing: how often a secret may be tried for one account, from however many addresses, in however many processes.

A service takes part with one line in its models, `Guess = guess_table(db)`, and compares each secret (a password, a
code, a key, a link) inside `counted`. A try is counted before the secret is compared, in a short transaction of its
own. So the count stands although the request is rolled back, no row is locked while a hash is computed, and of fifty
tries at once no more are compared than of fifty in a row. A right secret gives its own try back and nothing else, so
that somebody who logs in often does not give a stranger more tries.

The first tries are free. Then each one has to wait longer than the one before, and one try an hour is forgotten. A
refused try counts for nothing, so that somebody who keeps trying early does not make the wait longer. When it is over,
the try belongs to whoever comes first: a script that asks without end may take each one before the owner does.
"""

import hmac
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Index, LargeBinary, case, delete, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Mapped, mapped_column

from kit import clock
from kit.errors import TooManyRequests, Unauthenticated, Unavailable

FREE = 5
FIRST_WAIT = timedelta(minutes=1)
LONGEST_WAIT = timedelta(minutes=15)
FORGETS_ONE_IN = timedelta(hours=1)
REMEMBERED = 24  # tries; so a row is needed no longer than a day
TIDIED = 20  # rows that each try removes, more than the two that it may add
TURN_S = 2.0
SKEW = timedelta(minutes=1)  # where there is no wait there is none by the clock of another machine either

# One try of an account at a time in each process: fifty people, or machines, who log in to one account at once with
# the right secret wait for each other rather than for a count that the others have not given back yet.
_turns = [threading.Lock() for _ in range(256)]


class TooManyGuesses(TooManyRequests):
    """This was tried too often without success. Wait as long as Retry-After says; somebody else may be faster then."""


class GuessesBusy(Unavailable):
    """This is being tried by others at this moment. Try again in a moment."""


@dataclass(frozen=True, slots=True)
class Try:
    """One counted try. Where it is not open, treat the secret as wrong, and take as long as if it had been compared."""

    is_open: bool


def guess_table(db: Any) -> Any:
    """A service's table of tries. It names nobody: a subject is a keyed hash."""

    class Guess(db.Model):
        __table_args__ = (Index("ix_guess_forgotten_at", "forgotten_at"),)
        subject: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
        forgotten_at: Mapped[datetime]
        next_at: Mapped[datetime]

    return Guess


def subject(key: bytes, kind: str, name: object) -> bytes:
    """Return the name under which tries are counted. The key keeps a mistyped secret from being read out of it."""
    return hmac.digest(key, f"{kind}\0{name}".encode(), "sha256")


def wait_after(tries: int) -> timedelta:
    """Return the wait between the last of so many tries and the next."""
    beyond = min(tries - FREE, 10)  # a higher power would only be cut off again
    return timedelta(0) if beyond < 0 else min(FIRST_WAIT * 2**beyond, LONGEST_WAIT)


@contextmanager
def counted(db: Any, table: Any, name: bytes, behind: bytes | None = None) -> Iterator[Try]:
    """Count one try at the secret of a subject, and compare the secret inside. Unauthenticated means a wrong one.

    Any other error gives the try back.

    `behind` is whom the name stands for, when several names lead to one account. It has a count of its own, which is
    never told: a difference between two names of one account and two names of nobody would tell who they are.
    Raises TooManyGuesses, GuessesBusy. No connection may be held by the session here.
    """
    turn = _turns[(behind or name)[0]]
    if not turn.acquire(timeout=TURN_S):
        raise GuessesBusy(retry_after_s=1)
    try:
        with db.apart() as connection:
            taken = _take(connection, table.__table__, sorted({name, behind or name}), name)
        try:
            yield Try(taken.keys() >= {name, behind or name})
        except Unauthenticated:
            raise
        except BaseException:  # nothing was found wrong
            with suppress(SQLAlchemyError):  # the first error is the one to tell
                _give_back(db, table.__table__, taken)
            raise
        _give_back(db, table.__table__, taken)
    finally:
        turn.release()


def check(db: Any, table: Any, name: bytes) -> None:
    """Refuse what `counted` would refuse, before anything is looked up that takes longer for some. TooManyGuesses."""
    with db.apart() as connection:
        _refuse(connection, table.__table__, name, clock.now())


def _refuse(connection: Any, table: Any, name: bytes, now: datetime) -> None:
    next_at = connection.scalar(select(table.c.next_at).where(table.c.subject == name))
    if next_at and next_at > now:
        raise TooManyGuesses(retry_after_s=-(-(next_at - now) // timedelta(seconds=1)))


def _take(connection: Any, table: Any, subjects: list[bytes], told: bytes) -> dict[bytes, datetime]:
    """Count a try of each subject that may be tried now. Return them, with the moment when the next one may follow."""
    now = clock.now()
    _refuse(connection, table, told, now)  # without writing: a flood of them leaves nothing to clean up
    row = {"forgotten_at": now, "next_at": now - SKEW}
    fresh = insert(table).values([{"subject": each, **row} for each in subjects])
    # An update that changes nothing locks a row that was there, so that what is returned holds until the commit.
    locked = fresh.on_conflict_do_update(index_elements=["subject"], set_={"subject": fresh.excluded.subject})
    taken = {}
    for each, forgotten_at, next_at in connection.execute(locked.returning(*table.columns)).all():
        if next_at > now:
            if each == told:
                _refuse(connection, table, told, now)  # another one came first
            continue
        full = now + REMEMBERED * FORGETS_ONE_IN
        forgotten_at = min(max(forgotten_at, now) + FORGETS_ONE_IN, full)
        taken[each] = now + (wait_after(-(-(forgotten_at - now) // FORGETS_ONE_IN)) or -SKEW)
        values = {"forgotten_at": forgotten_at, "next_at": taken[each]}
        connection.execute(update(table).where(table.c.subject == each).values(values))
    _tidy(connection, table, now)
    return taken


def _give_back(db: Any, table: Any, taken: dict[bytes, datetime]) -> None:
    now = clock.now()
    with db.apart() as connection:
        for each, next_at in sorted(taken.items()):  # in the order in which they are locked everywhere
            # A wait that another try has begun in the meantime stays.
            waits = case((table.c.next_at == next_at, now - SKEW), else_=table.c.next_at)
            less = {"forgotten_at": table.c.forgotten_at - FORGETS_ONE_IN, "next_at": waits}
            connection.execute(update(table).where(table.c.subject == each).values(less))
            connection.execute(delete(table).where(table.c.subject == each, table.c.forgotten_at <= now))


def _tidy(connection: Any, table: Any, now: datetime) -> None:
    # Last in its transaction, and past rows that others hold: so it never waits.
    old = select(table.c.subject).where(table.c.forgotten_at <= now, table.c.next_at <= now)
    few = old.order_by(table.c.forgotten_at).limit(TIDIED).with_for_update(skip_locked=True)
    connection.execute(delete(table).where(table.c.subject.in_(few)))
