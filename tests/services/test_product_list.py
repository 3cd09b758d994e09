import itertools
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest

from tests.api import Api, Person, add_member, new_person
from tests.services.helpers import raced
from tests.services.product_helpers import GTIN, GTIN_12, GTIN_14, PATH, at, bundle, created, found, listed

SORTS = ("created_at", "-created_at", "name", "-name", "-updated_at", "id", "-id", "name,-created_at", "-name,id")


def walk(person: Any, query: str, **options: Any) -> Iterator[list[str]]:
    """Page after page by cursor, as the names on each."""
    cursor = ""
    while True:
        page = person.get(f"{PATH}?{query}{cursor}", **options).ok()
        yield [row["name"] for row in page["products"]]
        if not page["next_cursor"]:
            return
        cursor = f"&cursor={page['next_cursor']}"


@pytest.fixture(scope="module")
def shelf(platform: Any) -> Person:
    """The owner of 23 products, some of them with one name."""
    person = new_person(platform)
    for number in range(23):
        created(person, name=f"Name {number // 3:02}", sku=str(number))
    return person


class TestPages:
    def test_the_envelope_has_its_members(self, shelf: Person) -> None:
        page = shelf.get(PATH).ok()
        assert len(page.pop("products")) == 20
        assert page.pop("next_cursor")
        assert page == {"total": 23, "total_exact": True, "pages": 2, "page": 1, "per_page": 20}

    @pytest.mark.parametrize("sort", SORTS)
    @pytest.mark.parametrize("per_page", [4, 23])
    def test_walking_by_cursor_is_walking_by_page(self, shelf: Person, sort: str, per_page: int) -> None:
        query = f"sort={sort}&per_page={per_page}"
        pages = range(1, -(-23 // per_page) + 1)
        by_page = [[row["name"] for row in shelf.get(f"{PATH}?{query}&page={n}").ok()["products"]] for n in pages]
        assert list(walk(shelf, query)) == by_page
        assert list(itertools.chain(*by_page)) == [row["name"] for row in listed(shelf, f"sort={sort}")]

    @pytest.mark.parametrize(("sort", "descending"), [("name", False), ("-name", True)])
    def test_a_sorted_list_is_sorted(self, shelf: Person, sort: str, descending: bool) -> None:
        names = [row["name"] for row in listed(shelf, f"sort={sort}")]
        assert names == sorted(names, reverse=descending)

    @pytest.mark.parametrize("query", ["page=1", "per_page=100", "page=1000000", "sort=", "cursor=", "search=", ""])
    def test_a_query_at_its_limits_is_accepted(self, shelf: Person, query: str) -> None:
        shelf.get(f"{PATH}?{query}").ok()

    @pytest.mark.parametrize(
        "query",
        [
            *("page=0", "page=abc", f"page={10**30}", "per_page=0", "per_page=101", "sort=price_amount", "sort=sku"),
            *("cursor=x", "cursor=W10", "active_only=perhaps", "created_from=yesterday", "created_to=2026-01-01"),
            *("gtin=x", "gtin=7891000315508", "filter[kind]=x", "filter[category_id]=x", "filter[currency]=real"),
            *("filter[price_amount][gte]=x", "filter[price_amount][gte]=-1", f"filter[price_amount][lte]={2**70}"),
            *("filter[price_amount][lte]=1.5", "search=" + "x" * 201, "surprise=1", "tenant_id=1", "filter[name]=x"),
        ],
    )
    def test_a_query_that_cannot_be_accepted_is_named(self, shelf: Person, query: str) -> None:
        problem = shelf.get(f"{PATH}?{query}").problem(422, "validation_error")
        assert list(problem["errors"]) == [query.partition("=")[0]]

    def test_a_repeated_parameter_and_a_nul_are_refused(self, shelf: Person) -> None:
        shelf.get(PATH + "?page=1&page=2").problem(400, "repeated_parameter")
        shelf.get(PATH + "?sku=a%00b").problem(400, "bad_request")

    @pytest.mark.parametrize("text", ["%FF", "%ED%A0%80", "%F4%8F%BF%BF", "%EE%80%80", "%ED%9F%BF", "%25", "\\'--"])
    def test_an_odd_search_finds_nothing_and_breaks_nothing(self, shelf: Person, text: str) -> None:
        answer = shelf.get(f"{PATH}?search=qq{quote(text, safe='%')}")
        assert (answer.status, answer.json.get("total")) in ((200, 0), (400, None))

    def test_nobody_lists_and_tenants_see_their_own(self, api: Api, shelf: Person, stranger: Person) -> None:
        api.get(PATH).problem(401, "unauthenticated")
        for query in ("", "active_only=false", "search=name", "sku=1", "page=2"):
            assert listed(stranger, query) == []

    def test_a_viewer_reads(self, shelf: Person) -> None:
        assert len(listed(add_member(shelf, "viewer"))) == 23

    def test_bundles_say_what_is_in_them(self, owner: Person) -> None:
        part = created(owner)
        product = bundle(owner, part)
        assert {row["id"]: row["components"] for row in listed(owner)} == {
            part["id"]: [],
            product["id"]: product["components"],
        }

    def test_reading_and_writing_at_once_gives_whole_answers(self, owner: Person) -> None:
        writes = [lambda n=n: owner.post(PATH, {"name": f"N{n}"}).ok(201) for n in range(4)]
        reads = [lambda: owner.get(PATH).ok()] * 4
        for page in raced(*writes, *reads)[4:]:
            ids = [row["id"] for row in page["products"]]
            assert len(ids) == len(set(ids)) <= 4


@pytest.fixture(scope="module")
def filtered(platform: Any) -> Person:
    person = new_person(platform)
    created(person, name="a", sku="A-1", tags=["red", "big"], price="1.00", gtin=GTIN_12)
    created(person, name="b", external_id="B-1", tags=["blue"], price="2.00", kind="service")
    created(person, name="c", kind="subscription", price="200", currency="JPY", gtin=GTIN)
    created(person, name="e")
    gone = created(person, name="d", tags=["red"], external_id="B-1x")
    person.delete(at(gone)).ok()
    return person


class TestFilters:
    @pytest.mark.parametrize(
        ("query", "names"),
        [
            ("", "abce"),
            ("active_only=false", "abcde"),
            ("sku=A-1", "a"),
            ("sku=a-1", ""),
            (f"gtin={GTIN_12}", "a"),
            (f"gtin={GTIN_14}", "a"),
            (f"gtin=789-{GTIN[3:]}", "c"),
            ("external_id=B-1", "b"),
            ("filter[kind]=good", "ae"),
            ("filter[kind]=subscription", "c"),
            ("filter[tags][in]=red", "a"),
            ("filter[tags][in]=red,blue", "ab"),
            ("filter[tags][in]=red&active_only=false", "ad"),
            ("filter[price_amount][gte]=200", "bc"),
            ("filter[price_amount][lte]=199", "a"),
            ("filter[price_amount][gte]=100&filter[price_amount][lte]=200&filter[currency]=BRL", "ab"),
            ("filter[currency]=JPY", "c"),
            ("created_to=2000-01-01T00:00:00Z", ""),
            ("created_from=2000-01-01T00:00:00Z", "abce"),
            ("updated_since=2999-01-01T00:00:00%2B03:00", ""),
        ],
    )
    def test_a_filter_narrows_the_list(self, filtered: Person, query: str, names: str) -> None:
        assert found(filtered, query) == list(names)

    def test_moments_bound_the_list(self, filtered: Person) -> None:
        second = listed(filtered, "sort=created_at")[1]
        assert found(filtered, f"created_from={second['created_at']}") == ["b", "c", "e"]
        assert found(filtered, f"created_to={second['created_at']}") == ["a"]
        assert found(filtered, f"updated_since={second['updated_at']}") == ["b", "c", "e"]


@pytest.fixture(scope="module")
def searched(platform: Any) -> Person:
    person = new_person(platform)
    created(person, name="Café São Braz", sku="CAF-001", external_id="ERP-77", tags=["Orgânico"])
    created(person, name="Chá mate", gtin=GTIN, external_id="ERP-78")
    return person


class TestSearch:
    @pytest.mark.parametrize(
        ("text", "name"),
        [
            *((text, "Café São Braz") for text in ("cafe", "CAFÉ", "sao bra", "caf-001", "001", "organico")),
            *((text, "Chá mate") for text in ("cha", "mat", GTIN, "7891000", "7891000-315507")),
        ],
    )
    def test_one_is_found_by_the_beginnings_of_its_words(self, searched: Person, text: str, name: str) -> None:
        assert found(searched, f"search={quote(text)}") == [name]

    @pytest.mark.parametrize("text", ["afe", "cafe mate", "1000315507", "erp-77", "cafee"])
    def test_others_are_not_found(self, searched: Person, text: str) -> None:
        assert found(searched, f"search={quote(text)}") == []

    @pytest.mark.parametrize("text", ["", "%20", "-", "..."])
    def test_a_search_for_nothing_narrows_nothing(self, searched: Person, text: str) -> None:
        assert len(found(searched, f"search={text}")) == 2

    def test_words_follow_a_change_a_removal_and_a_return(self, owner: Person) -> None:
        path = at(created(owner, name="Before", sku="old"))
        owner.put(path, {"name": "After", "sku": "new"}).ok()
        assert [found(owner, f"search={word}") for word in ("before", "old")] == [[], []]
        assert [found(owner, f"search={word}") for word in ("after", "new")] == [["After"]] * 2
        owner.delete(path).ok()
        assert found(owner, "search=after") == []
        assert found(owner, "search=after&active_only=false") == ["After"]
        owner.patch(path + "/activate").ok()
        assert found(owner, "search=after") == ["After"]
