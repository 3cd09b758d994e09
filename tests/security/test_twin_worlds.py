"""Two tenants with the same story. Nothing of the one is seen, changed or even noticed by anybody of the other."""

from collections.abc import Callable
from typing import Any

import pytest

from alicerce.services import services
from contracts.roles import OWNER
from scripts.collection_files.plan import operations
from tests.api import Api
from tests.security.twin import fields, rows
from tests.security.twin.attacks import attacks, judge, plain
from tests.security.twin.people import ALLOWED, Ask, everybody, may_see
from tests.security.twin.world import DENIED, World, told
from tests.services.helpers import app_of

Tally = Callable[..., None]

# Tables of which a tenant may have no row: the story revokes nothing.
TRANSIENT = {"auth.guess", "auth.revocation", "tenant.revocation"}
VALUES = 3  # ids of each kind that the long form tries


@pytest.fixture(scope="module")
def document(platform: Any) -> Any:
    return Api(platform).get("/openapi.json").ok()


@pytest.fixture(scope="module")
def worlds(document: Any, platform: Any) -> tuple[World, World]:
    """Ours, and theirs."""
    return told(document, platform), told(document, platform)


@pytest.fixture(scope="module")
def people(worlds: tuple[World, World]) -> dict[str, Ask]:
    """Everybody of ours."""
    return everybody(*worlds)


def test_of_each_id_it_is_known_what_it_names(document: Any) -> None:
    unknown = {
        f"{operation.id}: {'.'.join(place.at)}"
        for operation in operations(document).values()
        for place in (
            *fields.of_parameters(operation, "path"),
            *fields.of_parameters(operation, "query"),
            *fields.of_body(document, operation),
            *fields.of_answers(document, operation),
        )
        if not place.kind
    }
    assert not unknown, "say in the schema what these name: metadata=naming('customer')"


def test_the_same_story_goes_the_same_way_in_both_worlds(worlds: tuple[World, World]) -> None:
    ours, theirs = worlds
    assert ours.statuses == theirs.statuses
    assert [step for step in ours.statuses if step[1] >= DENIED] == []


def test_the_story_fills_every_table(worlds: tuple[World, World]) -> None:
    """What no row is in, nobody can be seen to reach: tell in scripts/collection_files/story how it comes about."""
    empty = {name for name, (count, _) in rows.fingerprints(worlds[1]).items() if not count}
    assert empty <= TRANSIENT
    every = {f"{service}.{table}" for service in services() for table in app_of(service).db.metadata.tables}
    assert every >= TRANSIENT


def test_each_kind_of_record_is_reached_for(worlds: tuple[World, World]) -> None:
    """An id in a path that the world of the other tenant does not have would never be tried."""
    untried = {f"{one.name}: {one.kind}" for one in attacks(*worlds) if one.place.startswith("path") and not one.values}
    assert not untried


def test_nobody_reaches_what_is_the_other_tenants(
    worlds: tuple[World, World], people: dict[str, Ask], tally: Tally
) -> None:
    """The owner, who may do most, tries every place; each other one tries some."""
    others = [role for role in people if role != OWNER]
    turns = [
        (attack, attack.values[:1], role)
        for number, attack in enumerate(attacks(*worlds))
        for role in (OWNER, others[number % len(others)])
    ]
    _nothing_gets_through(worlds, people, turns, tally, "twin worlds")


@pytest.mark.long
def test_nobody_at_all_reaches_anything(document: Any, platform: Any, tally: Tally) -> None:
    worlds = told(document, platform), told(document, platform)  # untouched, so that all begin with reading
    people = everybody(*worlds)
    turns = [
        (attack, dict.fromkeys((*attack.values[: VALUES - 1], *attack.values[-1:])), role)
        for attack in attacks(*worlds)
        for role in people
    ]
    _nothing_gets_through(worlds, people, turns, tally, "twin worlds, everybody everywhere")


@pytest.mark.long
def test_a_tenant_cannot_tell_whether_there_is_another(document: Any, platform: Any, tally: Tally) -> None:
    """Our story alone, and again with every step told first by them: answer for answer the same."""
    alone = [(name, plain(answer)) for name, answer in World(document, platform).tell()]
    theirs, ours = World(document, platform).tell(), World(document, platform).tell()
    together = [(name, plain(answer)) for _, (name, answer) in zip(theirs, ours, strict=True)]
    differing = [pair for pair in zip(alone, together, strict=True) if pair[0] != pair[1]]
    tally("a world without the other tenant", tried=len(alone), bad=len(differing))
    assert not differing


def test_what_may_be_seen_is_still_there(document: Any) -> None:
    assert {name for allowed in ALLOWED.values() for name in allowed} <= operations(document).keys()


def _nothing_gets_through(
    worlds: tuple[World, World], people: dict[str, Ask], turns: list[Any], tally: Tally, row: str
) -> None:
    ours, theirs = worlds
    before = rows.fingerprints(theirs)
    found, tried = [], 0
    for attack, values, role in turns:
        for value in () if may_see(role, attack.operation) else values:
            if attack.kind == "key" and (role != OWNER or value in ours.spent):
                continue  # once used, a key is known here as well
            ours.spent.add(value)
            tried += 1
            if finding := judge(attack, value, people[role], role, theirs):
                found.append(finding)
    changed = [name for name, mark in rows.fingerprints(theirs).items() if mark != before[name]]
    tally(row, tried=tried, bad=len(found) + len(changed))
    assert not found, "\n\n".join(map(str, found[:5]))
    assert not changed
