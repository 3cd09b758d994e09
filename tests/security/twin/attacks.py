"""Every operation of the document with what is another tenant's in every place that takes an id, a text or a cursor.

Each attack is asked twice more with values that nobody has. The answer has to be the same as one of those: of the one
before it, or of the one after it where the request itself changed something.
"""

import json
import re
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any
from uuid import uuid4

from scripts.collection_files.plan import JSON, Operation, operations
from tests.security.twin import fields
from tests.security.twin.world import CANARY, DENIED, KEY, Sent, Told, World

SAFE = ("GET", "HEAD")
UUID = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}|[0-9a-f]{32}")
VARYING = [
    (CANARY, "canary"),
    (UUID, "id"),
    (re.compile(r"ey[\w-]+\.[\w-]+\.[\w-]+"), "token"),
    (re.compile(r"rt_id_[\w-]+|pk_[\w-]{32}"), "secret"),
    (re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+(?:Z|\+00:00)"), "moment"),
    (re.compile(r'"version": ?\d+'), '"version"'),
    (re.compile(r"id[0-9a-f]{8}"), "id"),  # a fresh text: a canary and some more
    (re.compile(r"canary[0-9a-f]{8}"), "canary"),
]
PASSING = {
    "date",
    "etag",
    "x-request-id",
    "traceparent",
    "content-length",
    "ratelimit",
    "server-timing",
    "last-modified",
}


@dataclass(frozen=True)
class Attack:
    """A request with something in one place: built from what belongs to the other tenant, or from what nobody has."""

    operation: Operation
    place: str
    kind: str
    values: tuple[str, ...]
    build: Callable[[str], Sent]
    strange: Callable[[], str]  # a value like theirs that nobody has; None for what has no such thing
    compared: bool = True

    @property
    def name(self) -> str:
        return f"{self.operation.id} {self.place}"


@dataclass(frozen=True)
class Finding:
    """Something that got through."""

    attack: str
    role: str
    what: str
    theirs: str
    strange: str = ""

    def __str__(self) -> str:
        answers = f"--- theirs\n{self.theirs[:800]}\n--- unknown\n{self.strange[:800]}"
        return f"{self.role}: {self.attack}: {self.what}\n{answers}"


def attacks(own: World, other: World) -> Iterator[Attack]:
    """Every attack on `other` by `own`, those that only read first."""
    found = sorted(operations(own.document).values(), key=lambda one: (one.method not in SAFE, one.id))
    for operation in found:
        base = base_of(operation, own)
        yield from _in_path(operation, own, other, base)
        yield from _in_query(operation, other, base)
        yield from _in_body(operation, own, other, base)
        yield from _in_headers(operation, own, other, base)


def judge(attack: Attack, value: str, ask: Callable[[Sent], Told], role: str, other: World) -> Finding | None:
    """Send it, and what nobody has before and after; what is wrong with the answer."""
    before = attack.build(attack.strange())
    expected = ask(before) if attack.compared else None
    sent = attack.build(value)
    theirs = ask(sent)
    if other.canary in str(theirs) and other.canary not in str(sent):
        return Finding(attack.name, role, "a text of the other tenant", str(theirs))
    if theirs.status >= 500:
        return Finding(attack.name, role, "an error of the server", str(theirs))
    if expected is None or plain(theirs, value) == plain(expected):
        return None
    after = ask(attack.build(attack.strange()))
    if plain(theirs, value) == plain(after):
        return None
    return Finding(attack.name, role, "another answer than for what nobody has", str(theirs), str(after))


def _in_path(operation: Operation, own: World, other: World, base: Sent) -> Iterator[Attack]:
    places = fields.of_parameters(operation, "path")
    ways = [(place,) for place in places] + ([tuple(places)] if len(places) > 1 else [])
    for way in ways:
        label = "path " + "+".join(place.name for place in way)

        def build(value: str, way: tuple[fields.Field, ...] = way) -> Sent:
            # `value` is the last id of the way; those before it are the first of their kind in the same world.
            theirs = value in other.ids.get(way[-1].kind, ())
            given = {place.name: other.ids[place.kind][0] if theirs else str(uuid4()) for place in way[:-1]}
            path = _path(operation, own, given | {way[-1].name: value})
            return replace(base, path=path, headers=base.headers | _fresh(base))

        yield _attack(operation, label, way[-1].kind, other, build)


def _in_query(operation: Operation, other: World, base: Sent) -> Iterator[Attack]:
    ids = {place.name: place for place in fields.of_parameters(operation, "query")}
    for one in operation.told.get("parameters", ()):
        if one["in"] != "query":
            continue
        name = one["name"]

        def build(value: str, name: str = name) -> Sent:
            return replace(base, query=base.query | {name: value}, headers=base.headers | _fresh(base))

        if name in ids:
            yield _attack(operation, f"query {name}", ids[name].kind, other, build)
        elif name == "cursor":
            if cursor := _cursor(operation, other):
                yield Attack(operation, "query cursor", "cursor", (cursor,), build, str, compared=False)
        elif "string" in one["schema"].get("type", ()) and one["schema"].get("format", "email") == "email":
            yield from _text(operation, name, one["schema"], other, build)


def _text(operation: Operation, name: str, schema: Any, other: World, build: Callable[[str], Sent]) -> Iterator[Attack]:
    if "enum" in schema or name == "sort":
        return
    suffix = "@example.com" if schema.get("format") == "email" else ""
    yield Attack(
        operation,
        f"query {name}",
        "text",
        (other.canary + suffix,),
        build,
        lambda: f"cnry{secrets.token_hex(16)}{suffix}",
    )


def _in_body(operation: Operation, own: World, other: World, base: Sent) -> Iterator[Attack]:
    if operation.told.get("requestBody", {}).get("content", {}).get(JSON) is None:
        return
    for place in fields.of_body(own.document, operation):

        def build(value: str, at: tuple[str, ...] = place.at) -> Sent:
            body = fields.placed(base.body or {}, at, value)
            return replace(base, body=body, headers=base.headers | _fresh(base))

        yield _attack(operation, f"body {'.'.join(place.at)}", place.kind, other, build)


def _in_headers(operation: Operation, own: World, other: World, base: Sent) -> Iterator[Attack]:
    theirs = other.sent.get(operation.id)
    if theirs is not None and KEY in theirs.headers:

        def replayed(value: str) -> Sent:
            # Their request with their key: were it remembered for all, their answer would come back, or a refusal.
            # Their texts are left out, because we would keep them, and find them again.
            body = json.loads(json.dumps(theirs.body).replace(other.canary, own.canary))
            return replace(theirs, headers=theirs.headers | {KEY: value}, body=body)

        key = theirs.headers[KEY]
        yield Attack(operation, f"header {KEY}", "key", (key,), replayed, lambda: f"cnry{secrets.token_hex(16)}")
    if operation.method in SAFE:
        for name, kind in (("X-Tenant-Id", "tenant"), ("X-User-Id", "user")):

            def claimed(value: str, name: str = name) -> Sent:
                return replace(base, headers=base.headers | {name: value})

            yield _attack(operation, f"header {name}", kind, other, claimed)


def _attack(operation: Operation, place: str, kind: str, other: World, build: Callable[[str], Sent]) -> Attack:
    return Attack(operation, place, kind, tuple(other.ids.get(kind, ())), build, lambda: str(uuid4()))


def base_of(operation: Operation, own: World) -> Sent:
    """The operation as its own tenant would ask it."""
    told = own.sent.get(operation.id)
    content = operation.told.get("requestBody", {}).get("content", {}).get(JSON, {})
    body = told.body if told else content.get("example")
    headers = {name: value for name, value in told.headers.items() if name != "If-Match"} if told else {}
    required = [
        one["name"] for one in operation.told.get("parameters", ()) if one["in"] == "header" and one["required"]
    ]
    return Sent(operation.method, _path(operation, own, {}), {}, dict.fromkeys(required, "") | headers, body)


def _path(operation: Operation, own: World, given: dict[str, str]) -> str:
    kinds = {place.name: place.kind for place in fields.of_parameters(operation, "path")}
    return re.sub(r"{(\w+)}", lambda found: given.get(found[1]) or own.ids[kinds[found[1]]][0], operation.path)


def _fresh(base: Sent) -> dict[str, str]:
    return {KEY: secrets.token_hex(16)} if KEY in base.headers else {}


def _cursor(operation: Operation, other: World) -> str:
    """Where the other tenant would go on reading this list."""
    base = base_of(operation, other)
    answer = replace(base, query={"per_page": "1"}).to(other.platform, other.variables["accessToken"])
    return str((answer.json or {}).get("next_cursor") or "") if answer.status < DENIED else ""


def plain(answer: Told, value: str = "") -> str:
    """An answer without what differs from each request to the next."""
    headers = sorted(f"{name}: {text}" for name, text in answer.headers if name.lower() not in PASSING)
    plain = "\n".join([answer.status_line, *headers, answer.body])
    if value:
        plain = plain.replace(value, str(uuid4()) if UUID.fullmatch(value) else value)
    for pattern, word in VARYING:
        plain = pattern.sub(word, plain)
    return plain
