"""JSON bodies are read strictly: one value for each member, and none of them guessed."""

import json
from typing import Any

import pytest
from flask import Flask, Response
from flask.testing import FlaskClient
from hypothesis import given
from hypothesis import strategies as st
from marshmallow import INCLUDE

from kit.app import handle_errors, prepare_requests
from kit.blueprint import Blueprint
from kit.schema import Schema


class Anything(Schema):
    class Meta:
        unknown = INCLUDE


class Optional(Anything):
    body_is_optional = True


@pytest.fixture(scope="module")
def client() -> FlaskClient:
    """An app that answers with the members of the body that it read."""
    app, blueprint = Flask("bodies"), Blueprint("bodies", "bodies")
    for path, schema in (("/anything", Anything), ("/optional", Optional)):

        def view(data: dict[str, Any]) -> Response:
            return Response(json.dumps(sorted(data)))

        blueprint.add_url_rule(path, path, blueprint.arguments(schema())(view), methods=["POST"])
    prepare_requests(app)
    handle_errors(app)
    app.register_blueprint(blueprint)
    return app.test_client()


def read(client: FlaskClient, body: bytes, path: str = "/anything") -> tuple[int, Any]:
    answer = client.post(path, data=body, content_type="application/json")
    return answer.status_code, json.loads(answer.data)


@pytest.mark.parametrize(
    ("body", "name"),
    [
        (b'{"a": 1, "a": 1}', "a"),
        (b'{"a": 1, "b": 2, "a" : 3}', "a"),
        (b'{"a": 1, "\\u0061": 2}', "a"),
        (b'{"": 1, "": 2}', ""),
        (b'{"x": {"deep": [1, {"a": 1, "a": 2}]}}', "a"),
        (b'{"x": [{"a": 1}, {"a": 2, "a": 3}]}', "a"),
        (b'{"' + b"n" * 500 + b'": 1, "' + b"n" * 500 + b'": 2}', "n" * 100),
    ],
)
def test_a_member_that_is_given_twice_is_refused_by_name(client: FlaskClient, body: bytes, name: str) -> None:
    status, problem = read(client, body)
    assert (status, problem["code"], list(problem["errors"])) == (400, "malformed_json", [name])


@pytest.mark.parametrize(
    "body",
    [
        *(b'{"a": "a:1,\\"a\\":2"}', b'{"a": {"a": {"a": 1}}}', b'{"a": [{"a": 1}, {"a": 1}]}', b'{"a": 1, "A": 2}'),
        *(b'{"a": ' + b"9" * 300 + b"}", b'{"a": 1e300}', b'{"a": -0.0}', b'{"a": "\\ud83d\\ude00"}'),
    ],
)
def test_what_only_looks_like_it_is_taken(client: FlaskClient, body: bytes) -> None:
    assert read(client, body)[0] == 200


@pytest.mark.parametrize("depth", [200, 1000, 100_000])
def test_a_body_however_deep_is_read_or_refused(client: FlaskClient, depth: int) -> None:
    assert read(client, b'{"a": ' + b"[" * depth + b"]" * depth + b"}")[0] in (200, 400)


names = st.text(max_size=3)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=4),
    max_leaves=12,
)


def written(value: Any, repeats: bool, spare: str) -> str:
    """JSON of a value; the first object in it that has a member says it twice, if it repeats."""
    done = not repeats

    def write(value: Any) -> str:
        nonlocal done
        if isinstance(value, list):
            return "[" + ",".join(map(write, value)) + "]"
        if not isinstance(value, dict):
            return json.dumps(value)
        pairs = list(value.items())
        if pairs and not done:
            done = True
            pairs.append(pairs[0])
        return "{" + f"{spare},".join(f"{json.dumps(name)}{spare}:{write(inner)}" for name, inner in pairs) + "}"

    return write(value)


@given(body=st.dictionaries(names, values, max_size=4), repeats=st.booleans(), spare=st.sampled_from(["", " ", "\n"]))
def test_a_repeated_member_is_found_wherever_it_is(
    client: FlaskClient, body: dict[str, Any], repeats: bool, spare: str
) -> None:
    try:
        sent = written(body, repeats, spare).encode()
    except UnicodeEncodeError:  # a lone surrogate, which is refused anyway
        return
    status, answer = read(client, sent)
    if status == 400 and answer["code"] == "malformed_json" and "errors" not in answer:
        return  # what JSON itself refuses
    assert status == (400 if repeats and body else 200), sent


def test_a_body_that_has_to_be_there_is(client: FlaskClient) -> None:
    status, problem = read(client, b"")
    assert (status, problem["code"]) == (422, "body_missing")
    assert read(client, b"{}") == (200, [])


def test_a_body_that_may_be_absent_stands_for_an_empty_object(client: FlaskClient) -> None:
    assert read(client, b"", "/optional") == (200, [])
