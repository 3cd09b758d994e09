"""What a client says it last saw: `If-Match`, and the read-only fields that it sends back.

A PUT may send what a GET gave. Read-only fields that did not change are ignored; one that was changed is refused,
and a stale `version` or `updated_at` is a lost update in the making: 412, as with a stale `If-Match` (RFC 9110, 13.1).
"""

from typing import Any

from flask import g, has_request_context, request

from kit.errors import PreconditionFailed, ValidationError

STALE = ("version", "updated_at")


def etag(record: Any) -> str | None:
    """The entity tag of a record: its version, or None when it has none."""
    version = getattr(record, "version", None)
    return None if version is None else f'"{version}"'


def expect(schema: Any, seen: dict[str, Any]) -> None:
    """Remember the read-only fields that came back with a body."""
    g.seen = (schema, seen)


def check(record: Any) -> None:
    """Compare a locked record with what the client says it saw. Raises PreconditionFailed or ValidationError."""
    if not has_request_context():
        return
    if request.if_match and not request.if_match.contains(str(record.version)):
        raise PreconditionFailed
    schema, seen = g.pop("seen", (None, {}))
    if not seen:
        return
    present = schema.dump(record)
    changed = {name for name, value in seen.items() if value != present.get(name)}
    if changed.intersection(STALE):
        raise PreconditionFailed
    if changed:
        raise ValidationError(errors={name: ["This field is read-only."] for name in sorted(changed)})
