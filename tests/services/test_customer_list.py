import base64
import itertools
import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.api import Api, Person, new_person
from tests.services.helpers import raced
from tests.services.test_customer_create import PATH, created

SORTS = ("created_at", "-created_at", "name", "-name", "updated_at", "id", "-id", "name,-created_at", "-name,id")


def listed(person: Person, query: str = "") -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = person.get(f"{PATH}?per_page=100&{query}").ok()["customers"]
    return rows


def found(person: Person, query: str) -> list[str]:
    return sorted(row["name"] for row in listed(person, query))


def walk(person: Person, query: str) -> Iterator[list[str]]:
    """Page after page by cursor, as the names on each."""
    cursor = ""
    while True:
        page = person.get(f"{PATH}?{query}{cursor}").ok()
        yield [row["name"] for row in page["customers"]]
        if not page["next_cursor"]:
            return
        cursor = f"&cursor={page['next_cursor']}"


@pytest.fixture(scope="module")
def shelf(platform: Any) -> Person:
    """The owner of 23 customers, some of them with one name."""
    person = new_person(platform)
    for number in range(23):
        created(person, name=f"Name {number // 3:02}", external_id=str(number))
    return person


class TestPages:
    def test_the_envelope_has_its_members(self, shelf: Person) -> None:
        page = shelf.get(PATH).ok()
        assert len(page.pop("customers")) == 20
        assert page.pop("next_cursor")
        assert page == {"total": 23, "total_exact": True, "pages": 2, "page": 1, "per_page": 20}

    def test_a_page_beyond_the_last_is_empty(self, shelf: Person) -> None:
        page = shelf.get(PATH + "?page=9&per_page=5").ok()
        assert (page["customers"], page["total"], page["pages"], page["next_cursor"]) == ([], 23, 5, None)

    @pytest.mark.parametrize("sort", SORTS)
    @pytest.mark.parametrize("per_page", [1, 4, 23])
    def test_walking_by_cursor_is_walking_by_page(self, shelf: Person, sort: str, per_page: int) -> None:
        whole = [row["name"] for row in listed(shelf, f"sort={sort}")]
        query = f"sort={sort}&per_page={per_page}"
        pages = range(1, -(-23 // per_page) + 1) if per_page > 1 else range(1, 4)
        by_page = [[row["name"] for row in shelf.get(f"{PATH}?{query}&page={n}").ok()["customers"]] for n in pages]
        by_cursor = list(itertools.islice(walk(shelf, query), len(pages)))
        assert by_cursor == by_page
        assert list(itertools.chain(*by_cursor)) == whole[: per_page * len(pages)]

    @pytest.mark.parametrize(("sort", "descending"), [("name", False), ("-name", True)])
    def test_a_sorted_list_is_sorted(self, shelf: Person, sort: str, descending: bool) -> None:
        names = [row["name"] for row in listed(shelf, f"sort={sort}")]
        assert names == sorted(names, reverse=descending)

    def test_rows_inserted_and_removed_meanwhile_lose_and_double_none(self, owner: Person) -> None:
        before = [created(owner, name=f"B{number:02}") for number in range(12)]
        seen: list[str] = []
        for step, names in enumerate(walk(owner, "sort=name&per_page=3")):
            seen += names
            created(owner, name=f"A{step:02}")
            created(owner, name=f"Z{step:02}")
            if step == 1:
                owner.delete(f"{PATH}{before[0]['id']}").ok()
            if step > 8:
                break
        assert [name for name in seen if name.startswith("B")] == [row["name"] for row in before]
        assert len(seen) == len(set(seen))

    @pytest.mark.parametrize("query", ["page=1", "per_page=100", "page=1000000", "sort=", "cursor=", "search=", ""])
    def test_a_query_at_its_limits_is_accepted(self, shelf: Person, query: str) -> None:
        shelf.get(f"{PATH}?{query}").ok()

    @pytest.mark.parametrize(
        "query",
        [
            *("page=0", "page=-1", "page=abc", "page=1.5", "page=", f"page={10**30}", "page=%D9%A1x"),
            *("per_page=0", "per_page=101", "per_page=abc", "sort=colour", "sort=tenant_id", "sort=-", "sort=email"),
            *("cursor=x", "cursor=%20", "cursor=W10", "cursor=e30", "cursor=" + "a" * 1100),
            *("active_only=perhaps", "created_from=yesterday", "created_from=2026-01-01T00:00:00", "email=x"),
            *("filter[owner_id]=me", "filter[lifecycle_stage]=x", "filter[type]=x", "search=" + "x" * 201),
            *("surprise=1", "tenant_id=1", "PAGE=1", "filter[name]=x"),
        ],
    )
    def test_a_query_that_cannot_be_accepted_is_named(self, shelf: Person, query: str) -> None:
        problem = shelf.get(f"{PATH}?{query}").problem(422, "validation_error")
        assert list(problem["errors"]) == [query.partition("=")[0]]

    @pytest.mark.parametrize("query", ["page=1&page=2", "search=a&search=b", "page=1&page=1"])
    def test_a_repeated_parameter_is_refused(self, shelf: Person, query: str) -> None:
        shelf.get(f"{PATH}?{query}").problem(400, "repeated_parameter")

    def test_a_nul_in_the_query_is_refused(self, shelf: Person) -> None:
        shelf.get(PATH + "?search=a%00b").problem(400, "bad_request")

    @pytest.mark.parametrize("text", ["%FF", "%ED%A0%80", "%F4%8F%BF%BF", "%EE%80%80", "%", "%zz", "%25", "\\'--"])
    def test_an_odd_search_finds_nothing_and_breaks_nothing(self, shelf: Person, text: str) -> None:
        answer = shelf.get(f"{PATH}?search=qq{quote(text, safe='%')}")
        assert (answer.status, answer.json.get("total")) in ((200, 0), (400, None))

    @pytest.mark.parametrize(
        "values",
        [
            [["id"], ["x"]],
            [["id"], []],
            [["id"], None],
            [["id", "id"], [1, 2]],
            [["-id"], ["0197a3c0-0000-7000-8000-000000000001"]],
            {"id": 1},
            [["id"]],
            7,
            [["id"], [5]],
            [["id"], [None]],
        ],
        ids=str,
    )
    def test_a_forged_cursor_is_refused(self, shelf: Person, values: Any) -> None:
        cursor = base64.urlsafe_b64encode(json.dumps(values).encode()).decode().rstrip("=")
        problem = shelf.get(f"{PATH}?sort=id&cursor={cursor}").problem(422, "validation_error")
        assert list(problem["errors"]) == ["cursor"]

    @pytest.mark.parametrize(
        ("moment", "status"), [("2026-01-01T00:00:00+23:59", 200), ("0001-01-01T00:00+01:00", 422)]
    )
    def test_a_moment_in_a_cursor_may_have_any_offset(self, shelf: Person, moment: str, status: int) -> None:
        values = [["created_at", "id"], [moment, "0197a3c0-0000-7000-8000-000000000001"]]
        cursor = base64.urlsafe_b64encode(json.dumps(values).encode()).decode().rstrip("=")
        assert shelf.get(f"{PATH}?cursor={cursor}").status == status

    def test_a_cursor_of_another_sort_is_refused(self, shelf: Person) -> None:
        cursor = shelf.get(PATH + "?sort=name").ok()["next_cursor"]
        for sort in ("-name", "id", "created_at"):
            shelf.get(f"{PATH}?sort={sort}&cursor={cursor}").problem(422, "validation_error")

    def test_a_cursor_of_another_tenant_shows_nothing_of_it(self, shelf: Person, owner: Person) -> None:
        mine = created(owner, name="Name 99")
        cursor = shelf.get(PATH + "?sort=name").ok()["next_cursor"]
        assert [row["id"] for row in owner.get(f"{PATH}?sort=name&cursor={cursor}").ok()["customers"]] == [mine["id"]]

    def test_nobody_lists_and_tenants_see_their_own(self, api: Api, shelf: Person, stranger: Person) -> None:
        api.get(PATH).problem(401, "unauthenticated")
        for query in ("", "active_only=false", "search=name", "external_id=1", "page=2"):
            assert (listed(stranger, query), stranger.get(PATH).ok()["total"]) == ([], 0)

    def test_reading_and_writing_at_once_gives_whole_answers(self, owner: Person) -> None:
        writes = [lambda n=n: owner.post(PATH, {"name": f"N{n}"}).ok(201) for n in range(4)]
        reads = [lambda: owner.get(PATH).ok()] * 4
        for page in raced(*writes, *reads)[4:]:
            ids = [row["id"] for row in page["customers"]]
            assert len(ids) == len(set(ids)) <= 4


@pytest.fixture(scope="module")
def filtered(platform: Any) -> Person:
    person = new_person(platform)
    owner_id = "0197a3c0-0000-7000-8000-000000000001"
    created(person, name="a", email="a@example.com", tags=["red", "big"], owner_id=owner_id)
    created(person, name="b", external_id="B-1", tags=["blue"], lifecycle_stage="customer")
    created(person, name="c", type="company", document_type="cnpj", document="11222333000181")
    gone = created(person, name="d", tags=["red"], external_id="B-1x")
    person.delete(PATH + gone["id"]).ok()
    return person


class TestFilters:
    @pytest.mark.parametrize(
        ("query", "names"),
        [
            ("", "abc"),
            ("active_only=false", "abcd"),
            ("email=A@Example.com", "a"),
            ("external_id=B-1", "b"),
            ("external_id=b-1", ""),
            ("document=11.222.333/0001-81", "c"),
            ("document=11222333000181", "c"),
            ("filter[tags][in]=red", "a"),
            ("filter[tags][in]=red,blue", "ab"),
            ("filter[tags][in]=red&active_only=false", "ad"),
            ("filter[tags][in]=re", ""),
            ("filter[owner_id]=0197a3c0-0000-7000-8000-000000000001", "a"),
            ("filter[lifecycle_stage]=customer", "b"),
            ("filter[type]=company", "c"),
            ("filter[type]=person&filter[tags][in]=blue", "b"),
            ("created_to=2000-01-01T00:00:00Z", ""),
            ("created_from=2000-01-01T00:00:00Z", "abc"),
            ("updated_since=2999-01-01T00:00:00%2B03:00", ""),
        ],
    )
    def test_a_filter_narrows_the_list(self, filtered: Person, query: str, names: str) -> None:
        assert found(filtered, query) == list(names)

    def test_moments_bound_the_list(self, filtered: Person) -> None:
        second = listed(filtered, "sort=created_at")[1]
        moment = second["created_at"]
        assert found(filtered, f"created_from={moment}") == ["b", "c"]
        assert found(filtered, f"created_to={moment}") == ["a"]
        assert found(filtered, f"updated_since={second['updated_at']}") == ["b", "c"]


@pytest.fixture(scope="module")
def searched(platform: Any) -> Person:
    person = new_person(platform)
    created(person, name="José da Conceição", email="jose.silva@padaria.example", phone="+5511987654321")
    created(person, name="Ærøskøbing Straße", document_type="cnpj", document="12ABC34501DE35", tags=["Atacado"])
    created(person, name="Joana D'Arc", document_type="cpf", document="52998224725", phone="+12025550123")
    return person


class TestSearch:
    @pytest.mark.parametrize(
        ("text", "name"),
        [
            *((text, "José da Conceição") for text in ("conceicao", "CONCEIÇÃO", "conc", "jos conc", "conc da JOSE")),
            *((text, "José da Conceição") for text in ("jose.silva@padaria.example", "silva", "padaria", "silva exa")),
            *((text, "José da Conceição") for text in ("11987654321", "987654321", "98765", "5511987654321", "4321")),
            *((text, "José da Conceição") for text in ("+55 (11) 98765-4321", "(11) 98765-4321", "11 98765 4321")),
            *(
                (text, "Ærøskøbing Straße")
                for text in ("strasse", "ærøsk", "atacado", "12abc345", "12.ABC.345/01DE-35")
            ),
            *((text, "Joana D'Arc") for text in ("529.982.247-25", "52998", "d'arc", "arc joana", "2025550123")),
        ],
    )
    def test_one_is_found_by_the_beginnings_of_its_words(self, searched: Person, text: str, name: str) -> None:
        assert found(searched, f"search={quote(text)}") == [name]

    @pytest.mark.parametrize("text", ["onceicao", "jose joana", "298224725", "maria", "conceicaoo"])
    def test_others_are_not_found(self, searched: Person, text: str) -> None:
        assert found(searched, f"search={quote(text)}") == []

    @pytest.mark.parametrize("text", ["", "%20", "-", "..."])
    def test_a_search_for_nothing_narrows_nothing(self, searched: Person, text: str) -> None:
        assert len(found(searched, f"search={text}")) == 3

    def test_words_follow_a_change_a_removal_and_a_return(self, owner: Person) -> None:
        path = PATH + created(owner, name="Before")["id"]
        owner.put(path, {"name": "After"}).ok()
        assert (found(owner, "search=before"), found(owner, "search=after")) == ([], ["After"])
        owner.delete(path).ok()
        assert found(owner, "search=after") == []
        assert found(owner, "search=after&active_only=false") == ["After"]
        owner.patch(path + "/activate").ok()
        assert found(owner, "search=after") == ["After"]


NAMES = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")), min_size=1, max_size=12)
GENTLE = settings(
    max_examples=12, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
)


@GENTLE
@given(names=st.lists(NAMES.filter(str.strip), min_size=1, max_size=5), per_page=st.integers(1, 3), down=st.booleans())
def test_any_names_are_walked_and_found(platform: Any, names: list[str], per_page: int, down: bool) -> None:
    person = new_person(platform)
    for name in names:
        created(person, name=name)
    kept = sorted((name.strip() for name in names), key=str.encode, reverse=down)
    walked = itertools.chain(*walk(person, f"sort={'-' if down else ''}name&per_page={per_page}"))
    assert list(walked) == kept
    for name in kept:
        assert name in found(person, f"search={quote(name)}")
