"""What a service's own document says, and what is made up for examples."""

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from marshmallow import Schema, fields, validate

from kit import documents, raised
from kit.app import handle_errors
from kit.errors import Conflict, NotFound
from kit.examples import ID, example
from kit.raised import raised_by
from kit.schema import Email, Line
from tests.api import Api

SERVICES = ("auth", "customer", "interaction", "product", "tenant")


class Plate(Line):
    """A field of a service's own."""

    documented = {"examples": ["BRA2E19"]}  # noqa: RUF012


class Car(Schema):
    owner = Email()
    plate = Plate()
    code = fields.String(validate=validate.Regexp(r"^[a-z]+\Z"))
    extras = fields.Dict(validate=validate.Length(max=3))


@pytest.mark.parametrize("name", SERVICES)
def test_every_operation_has_a_name_and_our_errors_alone(service: Callable[[str], Api], name: str) -> None:
    document = service(name).get("/openapi.json").ok()
    found = [op for item in document["paths"].values() for key, op in item.items() if key != "parameters"]
    ids = [op["operationId"] for op in found]
    assert len(set(ids)) == len(ids)
    assert all(one.startswith(f"{name}.") for one in ids)
    assert not [op for op in found if "default" in op["responses"]]
    assert "DEFAULT_ERROR" not in document["components"]["responses"]


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_says_who_it_is_and_who_may_call(service: Callable[[str], Api], name: str) -> None:
    document = service(name).get("/openapi.json").ok()
    assert document["servers"][0]["url"] == "/"
    assert len(document["info"]["description"]) > 40
    assert not [one for one in document["components"]["schemas"] if "ErrorSchema" in one or "Pagination" in one]
    (scheme,) = document["components"]["securitySchemes"]
    for path, item in document["paths"].items():
        for key, op in item.items():
            if key != "parameters":
                assert op["security"] in ([], [{scheme: []}], [{}, {scheme: []}]), path
                assert ("x-callers" in op) == path.startswith("/internal"), path
                assert op["security"] or "x-permission" not in op, path


class CarGone(NotFound):
    """This car was sold."""


class CarInUse(Conflict):
    """Somebody drives this car."""


def sell() -> None:
    def hand_over() -> None:
        raise CarInUse

    hand_over()


def view_of_a_car() -> None:
    if not SERVICES:
        raise CarGone
    sell()


def test_errors_are_found_in_verbs_and_below_them(monkeypatch: pytest.MonkeyPatch) -> None:
    assert raised_by(view_of_a_car) == set()  # nobody's code but ours is read
    monkeypatch.setattr(raised, "OURS", (__name__,))
    assert raised_by(view_of_a_car) == {CarGone, CarInUse}


def test_what_a_column_lets_be_empty_may_be_null(service: Callable[[str], Api]) -> None:
    customer = service("customer").get("/openapi.json").ok()["components"]["schemas"]["customer.Customer"]["properties"]
    assert customer["erased_at"]["type"] == ["string", "null"]
    assert customer["erased_at"]["readOnly"]
    assert customer["name"]["type"] == "string"


def test_what_is_answered_has_every_member_and_null_where_nothing_is_said() -> None:
    schema = {
        "type": "object",
        "properties": {
            "id": {"type": "string", "format": "uuid", "readOnly": True},
            "name": {"type": "string", "examples": ["Ana"]},
            "gone_at": {"type": ["string", "null"], "format": "date-time"},
            "password": {"type": "string", "writeOnly": True},
        },
    }
    assert example(schema, {}, answered=True) == {"id": ID, "name": "Ana", "gone_at": None}


def test_patterns_are_of_json_schema(service: Callable[[str], Api]) -> None:
    for name in SERVICES:
        assert r"\\Z" not in str(service(name).get("/openapi.json").json)


def test_fields_say_what_they_are() -> None:
    from apispec import APISpec
    from apispec.ext.marshmallow import MarshmallowPlugin

    plugin = MarshmallowPlugin()
    spec = APISpec("cars", "1", "3.1.0", plugins=[plugin])
    documents.know_fields(plugin.converter)
    documents.know_fields(plugin.converter)
    spec.components.schema("Car", schema=Car)
    assert spec.to_dict()["components"]["schemas"]["Car"]["properties"] == {
        "owner": {"type": "string", "format": "email", "examples": ["ana@example.com"]},
        "plate": {"type": "string", "examples": ["BRA2E19"]},
        "code": {"type": "string", "pattern": "^[a-z]+$"},
        "extras": {"type": "object", "additionalProperties": {}, "maxProperties": 3},
    }


def test_an_example_has_what_is_required_and_what_says_how_it_looks() -> None:
    components: dict[str, Any] = {"schemas": {"Size": {"type": "integer", "minimum": 3}}}
    schema = {
        "type": "object",
        "required": ["name", "size", "id"],
        "properties": {
            "id": {"type": "string", "readOnly": True},
            "name": {"type": "string"},
            "size": {"$ref": "#/components/schemas/Size"},
            "color": {"type": "string", "examples": ["red"]},
            "colour": {"type": "string", "examples": ["red"]},
            "weight": {"type": "number"},
        },
    }
    assert example(schema, components) == {"name": "Name", "size": 3, "color": "red"}


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({"type": "string", "format": "date"}, "2026-01-31"),
        ({"type": ["string", "null"], "enum": ["cash", None]}, "cash"),
        ({"type": "array", "items": {"type": "boolean"}}, [True]),
        ({"type": "object", "properties": {"scope": {"type": "string"}}}, {"scope": "Scope"}),
        ({"type": "object"}, {}),
        ({}, "Text"),
    ],
)
def test_an_example_is_of_its_schemas_kind(schema: Any, expected: Any) -> None:
    assert example(schema, {}) == expected


def test_any_app_can_have_the_page() -> None:
    app = Flask("cars")
    handle_errors(app)
    documents.attach(app, "Cars & <trucks>")
    client = app.test_client()
    assert client.get("/docs").status_code == 200
    assert "<trucks>" not in client.get("/docs").text
    assert client.get("/docs/swagger-ui.css").status_code == 200


@pytest.mark.parametrize("name", SERVICES)
def test_every_service_has_the_page_on_its_own_port(service: Callable[[str], Api], name: str) -> None:
    assert service(name).get("/docs").status == 200
    assert service(name).get("/docs/swagger-ui.css").status == 200
    service(name).get("/docs/index.html").problem(404, "not_found")
