"""Nobody writes what is not theirs to write: no read-only member, no column behind it, whoever names it in a body."""

import secrets
from importlib import import_module
from typing import Any
from uuid import uuid4

import pytest

from kit.db import Entry, Record, TenantOwned
from kit.lifecycle import Retirable
from tests.security.documented import Json, Operation, World, model_of, operations, record_in
from tests.tables import Tally

ROW = "writing what is read-only"
MOVING = {"version", "updated_at"}  # they may move on with any change
POWERS = {"is_platform_admin", "is_admin", "permissions", "roles", "scope", "owner", "balance", "perms", "tid"}
KEPT_BY_THE_KIT = {
    name
    for base in (TenantOwned, Record, Entry, Retirable)
    for kind in base.__mro__
    for name in getattr(kind, "__annotations__", {})
    if not name.startswith("_")
}


def forged(part: Json, present: Any = None) -> Any:
    """A value of a member's type that nobody else would write."""
    kinds = part.get("type", "string")
    kind = kinds if isinstance(kinds, str) else kinds[0]
    if kind == "boolean":
        return not present
    if kind == "integer":
        return 987_654_321
    if kind == "array":
        return ["forged"]
    if kind == "object" or "$ref" in part:
        return {"forged": True}
    return {"uuid": str(uuid4()), "date-time": "2001-02-03T04:05:06Z", "date": "2001-02-03"}.get(
        part.get("format", ""), f"forged{secrets.token_hex(4)}"
    )


def columns(service: str) -> set[str]:
    """The name of every column of a service."""
    tables = import_module(f"services.{service}.models").db.metadata.tables.values()
    return {column.name for table in tables for column in table.columns}


@pytest.fixture(scope="module")
def writing(platform: Any) -> list[Operation]:
    """Every operation with a JSON body."""
    found = [operation for operation in operations(platform) if operation.takes_json]
    assert len(found) > 20
    return found


def test_every_name_that_is_not_the_bodys_is_refused_by_name(
    platform: Any, writing: list[Operation], tally: Tally
) -> None:
    accepted, tried = [], 0
    world = World(platform, operations(platform))
    for operation in writing:
        members = operation.members(read_only=False) | (
            operation.members(read_only=True) if operation.method == "PUT" else {}
        )
        names = (columns(operation.service) | POWERS | operation.body["properties"].keys()) - members.keys()
        for some in (sorted(names)[::2], sorted(names)[1::2]):  # an answer names a hundred at most
            body = world.body_of(operation) | {name: f"forged{secrets.token_hex(4)}" for name in some}
            answer = world.call(operation, world.address(operation), body)
            named = answer.json.get("errors", {}) if answer.status == 422 else {}
            accepted += [f"{operation}: {name} ({answer.status})" for name in some if name not in named]
        tried += len(names)
    tally(ROW, tried=tried, bad=len(accepted))
    assert accepted == []


def test_a_read_only_member_that_is_changed_is_refused_and_stays(
    platform: Any, writing: list[Operation], tally: Tally
) -> None:
    wrong, tried = [], 0
    for operation in (one for one in writing if one.method == "PUT"):
        world = World(platform, operations(platform))
        address = world.address(operation)
        before = record_in(world.call(operation, address).ok())
        for name, part in operation.members(read_only=True).items():
            body = world.body_of(operation) | {name: forged(part, before.get(name))}
            answer = world.call(operation, address, body)
            if answer.status not in (412, 422):
                wrong.append(f"{operation}: {name}: {answer.status}")
            tried += 1
        after = record_in(world.call(operation, address).ok())
        wrong += [
            f"{operation}: {name}: {after[name]}" for name in before.keys() - MOVING if before[name] != after[name]
        ]
    tally(ROW, tried=tried, bad=len(wrong))
    assert wrong == []
    assert tried > 30


def test_a_record_that_is_sent_back_as_it_came_is_taken(platform: Any, writing: list[Operation]) -> None:
    for operation in (one for one in writing if one.method == "PUT"):
        world = World(platform, operations(platform))
        address = world.address(operation)
        before = record_in(world.call(operation, address).ok())
        sent = {name: value for name, value in before.items() if name in operation.body["properties"]}
        after = record_in(world.call(operation, address, sent).ok())
        assert {key for key in before if before[key] != after[key]} <= MOVING, operation


def test_what_the_kit_keeps_is_no_member_that_a_client_may_write(writing: list[Operation]) -> None:
    assert {"id", "tenant_id", "version", "created_at", "is_active"} <= KEPT_BY_THE_KIT
    open_to_all = [
        f"{operation}: {name}"
        for operation in writing
        for name in operation.members(read_only=False).keys() & KEPT_BY_THE_KIT
        if model_of(operation) is not None
    ]
    assert open_to_all == []
