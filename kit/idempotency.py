"""Repeating a POST without doing it twice: the `Idempotency-Key` header (IETF httpapi draft), kept for a day.

A service takes part with one line in its models: `Replay = replay_table(db)`. The key and the answer are inserted in
the transaction of the effect, so that either both stand or neither. Refusals are not kept: they had no effect.
"""

import hashlib
import re
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, TypeVar

from flask import Response, current_app, request
from sqlalchemy import Index, LargeBinary, delete, func, select
from sqlalchemy.orm import Mapped, mapped_column

from kit import clock
from kit.db import TenantOwned
from kit.errors import BadRequest, Conflict, Problem, ValidationError
from kit.identity import current

HEADER = "Idempotency-Key"
REPLAYED = "Idempotency-Replayed"
KEPT = timedelta(days=1)
KEY = re.compile(r"[!-~]{1,255}\Z")

View = TypeVar("View", bound=Callable[..., Any])


class MalformedIdempotencyKey(BadRequest):
    """An Idempotency-Key has 1 to 255 visible ASCII characters; a random UUID is a good one."""


class IdempotencyKeyRequired(Problem):
    """Send an Idempotency-Key header (a random UUID is a good one), so that a repeated request is not done twice."""

    status = 428


class IdempotencyKeyReused(ValidationError):
    """This Idempotency-Key was used for another request. Choose a new key for a new request."""


class IdempotencyKeyBusy(Conflict):
    """The first request with this Idempotency-Key is still at work. Repeat it in a moment."""


def replay_table(db: Any) -> Any:
    """A service's table of answers that can be repeated."""

    class Replay(db.Model, TenantOwned):
        __table_args__ = (Index("ix_replay_created_at", "tenant_id", "created_at"),)
        operation: Mapped[str] = mapped_column(primary_key=True)
        key: Mapped[str] = mapped_column(primary_key=True)
        fingerprint: Mapped[bytes] = mapped_column(LargeBinary)
        status: Mapped[int]
        etag: Mapped[str | None]
        body: Mapped[bytes] = mapped_column(LargeBinary)
        created_at: Mapped[datetime] = mapped_column(default=clock.now)

    db.replays = Replay
    return Replay


def key_required(view: View) -> View:
    """A POST that moves money, which nobody may do twice by accident."""
    view.key_required = True  # type: ignore[attr-defined]
    return view


def once(db: Any, view: Callable[[], Any]) -> Any:
    """The view's answer; or, for a POST whose key is known, the answer that it gave the first time.

    Raises MalformedIdempotencyKey, IdempotencyKeyRequired, IdempotencyKeyReused, IdempotencyKeyBusy.
    """
    key = request.headers.get(HEADER)
    if key is None and hasattr(current_app.view_functions.get(request.endpoint or ""), "key_required"):
        raise IdempotencyKeyRequired
    if key is None or db.replays is None or request.method != "POST" or current.tenant_id is None:
        return view()
    if not KEY.match(key):
        raise MalformedIdempotencyKey
    name = f"{current.tenant_id} {request.path.rstrip('/')} {key}"
    locked = select(func.pg_try_advisory_xact_lock(func.hashtextextended(name, 0)))
    if not db.session.scalar(locked):
        raise IdempotencyKeyBusy(retry_after_s=1)
    known = db.session.get(db.replays, (current.tenant_id, request.path.rstrip("/"), key))
    fingerprint = _fingerprint()  # before the view, because a form that was taken apart has no body any more
    if known is not None and known.created_at > clock.now() - KEPT:
        return _again(known, fingerprint)
    response = view()
    _keep(db, key, fingerprint, response)
    return response


def _fingerprint() -> bytes:
    """Who asks for what. The boundary of a form is left out: clients draw a new one each time."""
    boundary = request.mimetype_params.get("boundary", "").encode()
    body = request.get_data().replace(boundary, b"") if boundary else request.get_data()
    parts = (str(current.user_id).encode(), request.query_string, body)
    return hashlib.sha256(b"\0".join(parts)).digest()


def _again(known: Any, fingerprint: bytes) -> Response:
    if known.fingerprint != fingerprint:
        raise IdempotencyKeyReused
    response = Response(known.body, known.status, content_type="application/json", headers={REPLAYED: "true"})
    if known.etag:
        response.headers["ETag"] = known.etag
    return response


def _keep(db: Any, key: str, fingerprint: bytes, response: Response) -> None:
    db.session.execute(delete(db.replays).where(db.replays.created_at <= clock.now() - KEPT))
    db.session.add(
        db.replays(
            operation=request.path.rstrip("/"),
            key=key,
            fingerprint=fingerprint,
            status=response.status_code,
            etag=response.headers.get("ETag"),
            body=response.get_data(),
        )
    )
    db.session.flush()
