"""A fence that is taken away is noticed: each one alone, and each with the one that stands behind it."""

from collections.abc import Callable
from typing import Any

import pytest

from alicerce.services import services
from tests.api import Api
from tests.security.twin.attacks import attacks
from tests.security.twin.fields import service_of, tables
from tests.security.twin.mutations import Mutation, mutations
from tests.security.twin.people import guest
from tests.security.twin.probes import PROBES, reaching
from tests.security.twin.world import World, told

Tally = Callable[..., None]
Pair = tuple[World, World]

EVERYTHING = "all tables"
ENOUGH = 0.98  # of the fences that were taken away alone; of two together, all


@pytest.fixture(scope="module")
def worlds(platform: Any) -> Pair:
    return pair(platform)


def pair(platform: Any) -> Pair:
    """Ours, with a guest, and theirs."""
    document = Api(platform).get("/openapi.json").ok()
    ours, theirs = told(document, platform), told(document, platform)
    ours.guest = guest(ours, theirs)
    return ours, theirs


def noticed(worlds: Pair, mutation: Mutation) -> str:
    """The first probe that finds something while the fences of a mutation are down, or nothing."""
    ours, theirs = worlds
    with mutation.applied(theirs, ours.platform):
        for probe in PROBES:
            if any(True for _ in probe(mutation.service, ours, theirs)):
                return probe.__name__
    return ""


def reached(worlds: Pair, mutation: Mutation) -> list[str]:
    """What an attack through the gateway finds meanwhile."""
    ours, theirs = worlds
    with mutation.applied(theirs, ours.platform):
        return list(reaching(mutation.service, ours, theirs))


def test_nothing_is_found_while_all_fences_stand(worlds: Pair) -> None:
    found = [finding for probe in PROBES for service in services() for finding in probe(service, *worlds)]
    assert not found


@pytest.mark.parametrize("service", ["customer", "tenant"])
def test_each_fence_of_a_service_is_missed(worlds: Pair, service: str) -> None:
    chosen = [mutation for mutation in mutations() if mutation.name.startswith(f"{service}: ")]
    whole = [mutation for mutation in chosen if EVERYTHING in mutation.name]
    assert [mutation.name for mutation in whole if not noticed(worlds, mutation)] == []


@pytest.mark.long
def test_every_fence_is_missed(platform: Any, tally: Tally) -> None:
    """Nobody gets through one fence alone; so the other one is moved out of the way, and each is asked by itself."""
    worlds = pair(platform)
    unnoticed: dict[int, list[str]] = {1: [], 2: []}
    tried = {1: 0, 2: 0}
    for mutation in mutations():
        layers = min(mutation.layers, 2)
        tried[layers] += 1
        if not noticed(worlds, mutation):
            unnoticed[layers].append(mutation.name)
    tally("one fence removed", tried=tried[1], bad=len(unnoticed[1]), note=" ".join(unnoticed[1]))
    tally("two fences removed", tried=tried[2], bad=len(unnoticed[2]), note=" ".join(unnoticed[2]))
    assert not unnoticed[2]
    assert len(unnoticed[1]) <= tried[1] * (1 - ENOUGH), unnoticed[1]


@pytest.mark.long
def test_without_both_fences_the_attacks_get_through(platform: Any, tally: Tally) -> None:
    """Attacks that are blunt would show here. Where no address or body names a record, there is nothing to aim at."""
    aimed = [one for one in attacks(*pair(platform)) if not one.place.startswith("header")]
    named = {service_of(one.operation) for one in aimed if one.kind in tables(service_of(one.operation))}
    whole = [one for one in mutations() if one.layers > 1 and EVERYTHING in one.name and one.service in named]
    blunt = [mutation.name for mutation in whole if not reached(pair(platform), mutation)]
    tally("both fences of a service removed: attacks", tried=len(whole), bad=len(blunt))
    assert not blunt
