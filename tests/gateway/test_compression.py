"""Answers are packed for those who can unpack them, and conditions still mean what they said."""

import gzip
import zlib
from collections.abc import Iterator
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.test import Client, TestResponse

from gateway import compression
from tests.api import PEER, Api, Person
from tests.gateway.fronts import Build, Front, building

LONG = orjson.dumps({"things": [{"name": f"Thing {number}"} for number in range(100)]})


@pytest.fixture
def build(platform: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Build]:
    with building(platform, monkeypatch) as build:
        yield build


@pytest.fixture
def front(build: Build) -> Front:
    front = build()
    front.service.body = LONG
    return front


def get(front: Any, path: str = "/api/open", coding: str = "gzip", **headers: str) -> TestResponse:
    sent = {name.replace("_", "-"): value for name, value in headers.items()} | {"Accept-Encoding": coding}
    return Client(front).get(path, headers=sent, environ_base=PEER)


def test_a_long_answer_is_packed_and_says_so(front: Front) -> None:
    answer = get(front)
    assert answer.headers["Content-Encoding"] == "gzip"
    assert answer.headers["Vary"] == "Accept-Encoding"
    assert gzip.decompress(answer.data) == LONG
    assert int(answer.headers["Content-Length"]) == len(answer.data) < len(LONG) / 4


def test_who_cannot_unpack_gets_it_plain_and_caches_know(front: Front) -> None:
    answer = get(front, coding="")
    assert (answer.data, answer.headers["Vary"]) == (LONG, "Accept-Encoding")
    assert "Content-Encoding" not in answer.headers


@pytest.mark.parametrize(
    ("content_type", "is_packed"),
    [
        ("application/json", True),
        ("application/problem+json", True),
        ("text/csv; charset=utf-8", True),
        ("image/png", False),
        ("application/zip", False),
        ("text/event-stream", False),
    ],
)
def test_only_what_shrinks_is_packed(front: Front, content_type: str, is_packed: bool) -> None:
    front.service.headers = [("Content-Type", content_type)]
    assert ("Content-Encoding" in get(front).headers) == is_packed


@pytest.mark.parametrize(
    "header", [("Content-Encoding", "br"), ("Content-Range", "bytes 0-9/99"), ("Cache-Control", "no-transform")]
)
def test_what_is_packed_already_or_must_stay_as_it_is_stays(front: Front, header: tuple[str, str]) -> None:
    front.service.headers.append(header)
    assert get(front).data == LONG


def test_a_short_answer_is_not_worth_it(front: Front) -> None:
    front.service.body = b'{"thing": 1}'
    assert "Content-Encoding" not in get(front).headers


def test_answers_with_tokens_are_never_packed(front: Front) -> None:
    answer = Client(front).post("/auth/login", json={}, headers={"Accept-Encoding": "gzip"}, environ_base=PEER)
    assert answer.data == LONG


def test_the_switch_turns_it_off(build: Build) -> None:
    front = build(COMPRESSION_ENABLED="false")
    front.service.body = LONG
    assert get(front).data == LONG


# --- Entity tags -----------------------------------------------------------------------------------------------------


def test_a_packed_answer_has_a_tag_of_its_own_and_the_service_never_sees_it(front: Front, owner: Person) -> None:
    front.service.headers.append(("ETag", '"7"'))
    assert get(front).headers["ETag"] == '"7-gzip"'
    assert get(front, coding="").headers["ETag"] == '"7"'
    Api(front, owner.token).put("/api/things/7", {}, headers={"If-Match": '"7-gzip"'})
    assert front.service.seen["HTTP_IF_MATCH"] == '"7"'
    get(front, If_None_Match='"6-gzip", "7-gzip"')
    assert front.service.seen["HTTP_IF_NONE_MATCH"] == '"6", "7"'


def test_a_weak_tag_stays_as_it_is(front: Front) -> None:
    front.service.headers.append(("ETag", 'W/"7"'))
    assert get(front).headers["ETag"] == 'W/"7"'


@pytest.mark.parametrize("tag", ['"7"', '"7-gzip"'])
def test_an_unchanged_answer_names_the_tag_that_was_asked_about(front: Front, tag: str) -> None:
    front.service.status, front.service.body = "304 NOT MODIFIED", b""
    front.service.headers.append(("ETag", '"7"'))
    assert get(front, If_None_Match=tag).headers["ETag"] == tag


def test_a_customer_can_be_changed_with_the_tag_of_a_packed_answer(platform: Any, owner: Person) -> None:
    made = owner.post("/api/customers", {"name": "Long " * 20, "notes": "much " * 300}).ok(201)["customer"]
    path = f"/api/customers/{made['id']}"
    headers = {"Authorization": f"Bearer {owner.token}", "Accept-Encoding": "gzip"}
    shown = Client(platform).get(path, headers=headers, environ_base=PEER)
    assert (shown.status_code, shown.headers["Content-Encoding"]) == (200, "gzip")
    tag = shown.headers["ETag"]
    assert orjson.loads(gzip.decompress(shown.data))["customer"]["id"] == made["id"]
    assert owner.get(path, headers={"If-None-Match": tag}).status == 304
    assert owner.put(path, {"name": "Changed"}, headers={"If-Match": tag}).status == 200
    assert owner.put(path, {"name": "Late"}, headers={"If-Match": tag}).status == 412


def test_the_gateways_own_document_is_packed_too(platform: Any) -> None:
    plain, packed = (get(platform, "/openapi.json", coding) for coding in ("", "gzip"))
    assert (packed.headers["Content-Encoding"], packed.headers["Vary"]) == ("gzip", "Accept-Encoding")
    assert gzip.decompress(packed.data) == plain.data
    assert len(packed.data) < len(plain.data) / 4


# --- Properties ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("offered", "takes"),
    [
        ("gzip", True),
        ("GZIP", True),
        ("x-gzip", True),
        ("br, gzip;q=0.5", True),
        ("*", True),
        ("gzip;q=0", False),
        ("gzip; q=0.0", False),
        ("*;q=0", False),
        ("identity", False),
        ("gzip;q=0.5, identity", False),
        ("gzip;q=nonsense", False),
        ("br", False),
        ("", False),
    ],
)
def test_who_takes_gzip_is_read_as_rfc_9110_says(offered: str, takes: bool) -> None:
    assert compression.accepts_gzip(offered) is takes


@given(st.binary(max_size=5000))
def test_packing_loses_nothing_and_is_the_same_each_time(body: bytes) -> None:
    headers, packed = compression.pack([("Content-Length", str(len(body))), ("ETag", '"7"')], body)
    assert zlib.decompress(packed, compression.GZIP_WINDOW) == body
    assert (headers, packed) == compression.pack([("Content-Length", str(len(body))), ("ETag", '"7"')], body)
    assert dict(headers) == {"Content-Length": str(len(packed)), "ETag": '"7-gzip"', "Content-Encoding": "gzip"}
