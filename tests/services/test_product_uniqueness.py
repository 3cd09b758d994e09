"""Whatever is done in whatever order, no two active products share what must be theirs alone."""

from collections import Counter
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.api import Person, new_person
from tests.services.helpers import raced, statuses
from tests.services.product_helpers import GTIN_12, GTIN_14, MISSING, PATH

UNIQUE: dict[str, list[Any]] = {
    "sku": ["A", "B", " A ", None],
    "gtin": [GTIN_12, GTIN_14, None],
    "external_id": ["1", None],
}
FIELDS = st.fixed_dictionaries({}, optional={name: st.sampled_from(values) for name, values in UNIQUE.items()})
STEPS = st.one_of(
    st.tuples(st.just("create"), st.just(0), FIELDS),
    st.tuples(st.just("update"), st.integers(0, 4), FIELDS),
    st.tuples(st.sampled_from(["deactivate", "activate", "remove"]), st.integers(0, 4), st.just({})),
)
GENTLE = settings(
    max_examples=15, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
)


def step(person: Person, ids: list[str], verb: str, which: int, fields: dict[str, Any]) -> int:
    path = PATH + (ids[which % len(ids)] if ids else MISSING)
    if verb == "create":
        answer = person.post(PATH, {"name": "x", **fields})
        if answer.status == 201:
            ids.append(answer.json["product"]["id"])
        return answer.status
    request = {
        "update": ("PUT", path, fields),
        "deactivate": ("DELETE", path, None),
        "activate": ("PATCH", path + "/activate", None),
        "remove": ("DELETE", path + "?hard_delete=true", None),
    }[verb]
    return person.request(*request).status


def assert_unique(person: Person) -> None:
    rows = person.get(PATH + "?per_page=100").ok()["products"]
    for name in UNIQUE:
        counted = Counter(row[name].zfill(14) for row in rows if row[name] is not None)
        assert not counted or max(counted.values()) == 1, (name, counted)


@GENTLE
@given(steps=st.lists(STEPS, min_size=4, max_size=14))
def test_no_sequence_makes_two_active_ones_alike(platform: Any, steps: list[Any]) -> None:
    person, ids = new_person(platform), list[str]()
    for verb, which, fields in steps:
        assert step(person, ids, verb, which, fields) in (200, 201, 404, 409)
    assert_unique(person)


@GENTLE
@given(steps=st.lists(STEPS, min_size=6, max_size=6))
def test_nor_do_several_hands_at_once(platform: Any, steps: list[Any]) -> None:
    person, ids = new_person(platform), list[str]()
    for fields in ({"sku": "A"}, {"gtin": GTIN_12}, {}):
        step(person, ids, "create", 0, fields)
    calls = [lambda s=s: step(person, list(ids), *s) for s in steps]
    assert set(raced(*calls)) <= {200, 201, 404, 409}
    assert_unique(person)


def test_of_fifty_who_create_one_sku_at_once_one_wins(owner: Person) -> None:
    answers = raced(*[lambda: owner.post(PATH, {"name": "x", "sku": "one"})] * 50)
    while busy := [index for index, answer in enumerate(answers) if answer.status == 503]:
        for index in busy:  # to be told to come again is no answer yet
            answers[index] = owner.post(PATH, {"name": "x", "sku": "one"})
    assert statuses(answers) == [201] + [409] * 49
    assert all(list(answer.json["errors"]) == ["sku"] for answer in answers if answer.status == 409)
    assert owner.get(PATH + "?sku=one").ok()["total"] == 1
