"""A search finds what somebody would find who reads every row, whichever way it takes."""

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, event

from kit import search
from tests.api import Person, new_person
from tests.services.test_customer_create import PATH, created

FIRST = ("ana", "anabela", "analu", "bia", "bianca", "bruno", "an", "b")
LAST = ("souza", "sousa", "souto", "sa", "lima", "limeira", "1", "12", "123")
NAMES = [f"{FIRST[number % 8]} {LAST[number * 5 % 9]} {LAST[number * number % 7]}" for number in range(60)]
BEGINNINGS = sorted({word[:length] for word in (*FIRST, *LAST) for length in range(1, len(word) + 1)})
GENTLE = settings(
    max_examples=120, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
)


@pytest.fixture(scope="module")
def shelf(platform: Any) -> Person:
    """The owner of customers who share the beginnings of their names; a neighbour has customers of the same names."""
    person, neighbour = new_person(platform), new_person(platform)
    for name in NAMES:
        created(person, name=name)
    for name in NAMES[:9]:
        created(neighbour, name=name)
    return person


def is_fenced(statement: str) -> bool:
    """Whether each reading of words says whose. Of a statement that is explained, only the planner's guess is seen."""
    reads, fences = statement.count("FROM customer_word"), statement.count("customer_word.tenant_id =")
    return reads == fences or statement.startswith("EXPLAIN")


@GENTLE
@given(
    terms=st.lists(st.sampled_from(BEGINNINGS), min_size=1, max_size=4),
    few=st.sampled_from([1, 6, 12, 2000]),
    counted=st.sampled_from([1, 4, 8, 10_000]),
    spellings=st.sampled_from([0, 1, 3, 8]),
)
def test_a_search_finds_what_reading_every_row_finds(
    shelf: Person, terms: list[str], few: int, counted: int, spellings: int
) -> None:
    expected = [name for name in NAMES if all(any(w.startswith(t) for w in name.split()) for t in terms)]
    asked: list[str] = []

    def remember(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        asked.append(statement)

    event.listen(Engine, "before_cursor_execute", remember)
    with pytest.MonkeyPatch.context() as limits:  # so low that sixty rows are too many for each way in turn
        limits.setattr(search, "FEW", few)
        limits.setattr(search, "EXACT_TOTAL", counted)
        limits.setattr(search, "SPELLINGS", spellings)
        page = shelf.get(f"{PATH}?per_page=100&sort=created_at&search={'+'.join(terms)}").ok()
    event.remove(Engine, "before_cursor_execute", remember)
    assert [row["name"] for row in page["customers"]] == expected
    assert [statement for statement in asked if not is_fenced(statement)] == []
    assert (page["total"], page["total_exact"]) == (len(expected), True)
