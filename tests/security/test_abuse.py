"""Bodies that are meant to hurt: each is refused, in the time of a few plain requests, with a short answer."""

import gzip
import os
import secrets
import time
from collections.abc import Callable, Iterator
from typing import Any

import orjson
import pytest
from werkzeug.test import Client

from tests.api import PEER
from tests.security.documented import JSON, KEY, Operation, World, operations
from tests.tables import Tally

MANY = 100_000 if os.environ.get("LONG") else 20_000
LONGEST_ANSWER = 16 * 1024
PLAIN_REQUESTS = 60  # so many of them may one hostile body cost, in processor time
MEBIBYTE = 1 << 20

BOMBS: dict[str, bytes] = {
    "deep arrays": b'{"name":' + b"[" * MANY + b"]" * MANY + b"}",
    "deep objects": b'{"a":' * MANY + b"1" + b"}" * MANY,
    "unclosed": b'{"a":[' * MANY,
    "wide": orjson.dumps({f"k{number}": number for number in range(MANY)}),
    "one long name": orjson.dumps({"n" * MEBIBYTE: 1}),
    "a number of 10^5 digits": b'{"amount":' + b"9" * MANY + b"}",
    "a number beyond every float": b'{"amount":1e999999999}',
    "not a number": b'{"amount":NaN}',
    "half a character": b'{"name":"\\ud800"}',
    "a list instead": b"[" + b"{}," * MANY + b"{}]",
    "bytes": bytes(range(256)) * 4096,
}
PACKED = gzip.compress(b" " * 9 * MEBIBYTE + b"{}")
TEXTS: dict[str, str] = {
    "letters": "a" * MANY,
    "digits": "1" * MANY,
    "an address": "a@" * MANY,
    "dots": "a." * MANY + "@" + "b." * MANY,
    "brackets": "(" * MANY,
    "blanks": "x" + " " * MANY + "x",
    "accents": "é" * MANY,
}


class Stopwatch:
    """The processor time of this process, in plain requests."""

    def __init__(self, plain: Callable[[], object]) -> None:
        self.unit = sorted(self.seconds(plain) for _ in range(15))[7]

    @staticmethod
    def seconds(work: Callable[[], object]) -> float:
        started = time.process_time()
        work()
        return time.process_time() - started

    def __call__(self, work: Callable[[], object]) -> float:
        return self.seconds(work) / self.unit


@pytest.fixture(scope="module")
def world(platform: Any) -> World:
    return World(platform, operations(platform))


@pytest.fixture(scope="module")
def stopwatch(world: World) -> Stopwatch:
    return Stopwatch(lambda: world.person.post("/api/customers/", {"name": "Ana"}).ok(201))


def sent(world: World, operation: Operation, address: str, body: bytes, **headers: str) -> Any:
    """An answer, to bytes rather than to JSON."""
    told = {"Authorization": f"Bearer {world.person.token}", "Content-Type": JSON, KEY: secrets.token_hex(8)} | headers
    return Client(world.target).open(address, method=operation.method, data=body, headers=told, environ_base=PEER)


def writing(world: World) -> Iterator[tuple[Operation, str]]:
    """Every operation with a JSON body, and where to find something to do it to."""
    for operation in world.found:
        if operation.takes_json and operation.path != "/auth/logout":
            yield operation, world.address(operation)


def complaint(answer: Any, cost: float) -> str:
    """What is wrong with an answer to a hostile body; nothing when it is a short refusal."""
    if not 400 <= answer.status_code < 500:
        return f"status {answer.status_code}"
    if len(answer.data) > LONGEST_ANSWER:
        return f"answered with {len(answer.data)} bytes"
    return f"took as long as {cost:.0f} plain requests" if cost > PLAIN_REQUESTS else ""


@pytest.mark.parametrize("name", BOMBS)
def test_a_hostile_body_is_refused_quickly_and_briefly(
    name: str, world: World, stopwatch: Stopwatch, tally: Tally
) -> None:
    found, tried = [], 0
    for operation, address in writing(world):
        answers: list[Any] = []
        ask = lambda o=operation, a=address, seen=answers: seen.append(sent(world, o, a, BOMBS[name]))  # noqa: E731
        cost = stopwatch(ask)
        if wrong := complaint(answers[0], cost):
            found.append(f"{operation}: {wrong}")
        tried += 1
    tally("hostile bodies", tried=tried, bad=len(found))
    assert found == []


@pytest.mark.parametrize("name", TEXTS)
def test_a_hostile_text_in_every_member_is_refused_quickly(
    name: str, world: World, stopwatch: Stopwatch, tally: Tally
) -> None:
    found, tried = [], 0
    for operation, address in writing(world):
        members = operation.members(read_only=False)
        body = orjson.dumps(dict.fromkeys(members, TEXTS[name]))
        answers: list[Any] = []
        ask = lambda o=operation, a=address, b=body, seen=answers: seen.append(sent(world, o, a, b))  # noqa: E731
        cost = stopwatch(ask) / len(members)
        if wrong := complaint(answers[0], cost):
            found.append(f"{operation}: {wrong}")
        tried += len(members)
    tally("hostile texts", tried=tried, bad=len(found))
    assert found == []


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "gzip, gzip"])
def test_a_packed_body_is_not_unpacked(coding: str, world: World) -> None:
    for operation, address in writing(world):
        answer = sent(world, operation, address, PACKED, **{"Content-Encoding": coding})
        assert answer.status_code in (400, 415), operation
