from typing import Any
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.api import Api, Person, add_member, new_person
from tests.services.helpers import raced, statuses
from tests.services.product_helpers import CATEGORIES, MISSING, PATH, at, category, created, found, place


def chain(person: Person, length: int) -> list[dict[str, Any]]:
    """So many categories, each below the one before."""
    links: list[dict[str, Any]] = []
    for _ in range(length):
        links.append(category(person, links[-1] if links else None))
    return links


class TestCreate:
    def test_one_stands_at_the_root_or_below_another(self, owner: Person) -> None:
        answer = owner.post(CATEGORIES, {"name": " Drinks "})
        root = answer.ok(201)["category"]
        assert set(answer.json) == {"message", "category"}
        assert answer.headers["ETag"] == '"1"'
        assert (root["name"], root["parent_id"], root["path"]) == ("Drinks", None, ["Drinks"])
        child = category(owner, root, name="Coffee")
        assert (child["parent_id"], child["path"]) == (root["id"], ["Drinks", "Coffee"])
        assert owner.get(place(child)).ok() == {"category": child}

    def test_nobody_and_viewers_make_none(self, api: Api, owner: Person) -> None:
        api.post(CATEGORIES, {"name": "x"}).problem(401, "unauthenticated")
        add_member(owner, "viewer").post(CATEGORIES, {"name": "x"}).problem(403, "forbidden")

    def test_a_parent_of_another_tenant_does_not_exist(self, owner: Person, stranger: Person) -> None:
        body = {"name": "x", "parent_id": category(owner)["id"]}
        assert list(stranger.post(CATEGORIES, body).problem(422, "validation_error")["errors"]) == ["parent_id"]

    @pytest.mark.parametrize(
        ("field", "value"),
        [
            *(("name", value) for value in (None, "", 5, [], {}, "a\u0000b", "a\nb", "x" * 201)),
            *(("parent_id", value) for value in (MISSING, "x", "", 5, [], {}, "\u0000")),
            *((name, "x") for name in ("id", "path", "version", "tenant_id", "surprise")),
        ],
        ids=lambda value: str(value)[:24].encode("unicode_escape").decode(),
    )
    def test_a_field_that_cannot_be_accepted_is_named(self, owner_of_all: Person, field: str, value: Any) -> None:
        problem = owner_of_all.post(CATEGORIES, {"name": "x", field: value}).problem(422, "validation_error")
        assert list(problem["errors"]) == [field]

    def test_siblings_have_different_names_and_cousins_need_not(self, owner: Person, stranger: Person) -> None:
        first, second = category(owner, name="A"), category(owner, name="B")
        category(stranger, name="A")
        category(owner, first, name="A")
        category(owner, second, name="A")
        for parent_id in (None, first["id"]):
            problem = owner.post(CATEGORIES, {"name": "A", "parent_id": parent_id}).problem(409, "already_exists")
            assert list(problem["errors"]) == ["name"]

    def test_the_tree_is_ten_deep_at_most(self, owner: Person) -> None:
        links = chain(owner, 10)
        assert len(owner.get(place(links[-1])).ok()["category"]["path"]) == 10
        problem = owner.post(CATEGORIES, {"name": "x", "parent_id": links[-1]["id"]}).problem(422, "validation_error")
        assert list(problem["errors"]) == ["parent_id"]

    def test_of_many_who_make_the_same_at_once_one_wins(self, owner: Person) -> None:
        answers = raced(*[lambda: owner.post(CATEGORIES, {"name": "x"})] * 5)
        assert statuses(answers) == [201] + [409] * 4


class TestList:
    def test_the_envelope_has_its_members_and_names_are_in_order(self, owner: Person) -> None:
        names = ["b", "a", "d", "c"]
        for name in names:
            category(owner, name=name)
        page = owner.get(CATEGORIES + "?per_page=3").ok()
        assert [row["name"] for row in page.pop("categories")] == ["a", "b", "c"]
        rest = owner.get(f"{CATEGORIES}/?per_page=3&cursor={page.pop('next_cursor')}").ok()["categories"]
        assert [row["name"] for row in rest] == ["d"]
        assert page == {"total": 4, "total_exact": True, "pages": 2, "page": 1, "per_page": 3}
        backwards = owner.get(CATEGORIES + "?sort=-name").ok()["categories"]
        assert [row["name"] for row in backwards] == sorted(names, reverse=True)

    def test_each_says_its_path(self, owner: Person) -> None:
        links = chain(owner, 4)
        names = [link["name"] for link in links]
        rows = owner.get(CATEGORIES).ok()["categories"]
        assert {len(row["path"]): row["path"] for row in rows} == {n: names[:n] for n in range(1, 5)}

    def test_the_children_of_one_can_be_listed(self, owner: Person) -> None:
        links = chain(owner, 3)
        rows = owner.get(f"{CATEGORIES}?filter[parent_id]={links[0]['id']}").ok()["categories"]
        assert [row["id"] for row in rows] == [links[1]["id"]]

    def test_nobody_lists_and_tenants_see_their_own(self, api: Api, owner: Person, stranger: Person) -> None:
        one = category(owner)
        api.get(CATEGORIES).problem(401, "unauthenticated")
        api.get(place(one)).problem(401, "unauthenticated")
        assert stranger.get(CATEGORIES).ok()["categories"] == []
        for path in (place(one), f"{CATEGORIES}/{uuid4()}"):
            stranger.get(path).problem(404, "no_such_category")
        owner.get(CATEGORIES + "/x").problem(404, "not_found")

    @pytest.mark.parametrize("query", ["page=0", "per_page=101", "sort=path", "filter[parent_id]=x", "surprise=1"])
    def test_a_query_that_cannot_be_accepted_is_named(self, owner_of_all: Person, query: str) -> None:
        problem = owner_of_all.get(f"{CATEGORIES}?{query}").problem(422, "validation_error")
        assert list(problem["errors"]) == [query.partition("=")[0]]


class TestPut:
    def test_one_is_renamed_and_moved_with_all_that_is_below_it(self, owner: Person) -> None:
        old, middle, leaf = chain(owner, 3)
        new = category(owner)
        answer = owner.put(place(middle), {"name": "Moved", "parent_id": new["id"]}).ok()
        assert set(answer) == {"message", "category"}
        assert (answer["category"]["path"], answer["category"]["version"]) == ([new["name"], "Moved"], 2)
        assert owner.get(place(leaf)).ok()["category"]["path"] == [new["name"], "Moved", leaf["name"]]
        assert owner.put(place(middle), {"parent_id": None}).ok()["category"]["path"] == ["Moved"]
        assert owner.get(place(old)).ok()["category"] == old

    def test_a_new_path_is_a_new_version_for_all_below(self, owner: Person) -> None:
        top, middle, leaf = chain(owner, 3)
        tag = {"If-None-Match": owner.get(place(leaf)).headers["ETag"]}
        assert owner.get(place(leaf), headers=tag).status == 304
        owner.put(place(top), {"name": "Renamed"}).ok()
        moved = owner.get(place(leaf), headers=tag).ok()["category"]
        assert moved["path"] == ["Renamed", middle["name"], leaf["name"]]
        owner.put(place(top), {"name": "Renamed"}).ok()
        assert owner.get(place(leaf)).ok()["category"]["version"] == moved["version"]

    def test_what_was_read_may_be_sent_back(self, owner: Person) -> None:
        leaf = chain(owner, 2)[-1]
        assert owner.put(place(leaf), leaf).ok()["category"] == leaf
        problem = owner.put(place(leaf), leaf | {"path": ["x"]}).problem(422, "validation_error")
        assert list(problem["errors"]) == ["path"]
        owner.put(place(leaf), leaf | {"version": 7}).problem(412, "precondition_failed")
        owner.put(place(leaf), {"name": "x"}, headers={"If-Match": '"7"'}).problem(412, "precondition_failed")

    def test_nobody_viewers_and_strangers_change_nothing(self, api: Api, owner: Person, stranger: Person) -> None:
        one = category(owner)
        api.put(place(one), {"name": "x"}).problem(401, "unauthenticated")
        add_member(owner, "viewer").put(place(one), {"name": "x"}).problem(403, "forbidden")
        stranger.put(place(one), {"name": "x"}).problem(404, "no_such_category")
        assert owner.get(place(one)).ok()["category"] == one

    def test_none_stands_below_itself(self, owner: Person) -> None:
        links = chain(owner, 3)
        for parent in links:
            problem = owner.put(place(links[0]), {"parent_id": parent["id"]}).problem(422, "validation_error")
            assert list(problem["errors"]) == ["parent_id"]

    def test_a_move_takes_nothing_deeper_than_ten(self, owner: Person) -> None:
        tall, short = chain(owner, 7), chain(owner, 4)
        problem = owner.put(place(short[0]), {"parent_id": tall[-1]["id"]}).problem(422, "validation_error")
        assert list(problem["errors"]) == ["parent_id"]
        owner.put(place(short[0]), {"parent_id": tall[-2]["id"]}).ok()

    @pytest.mark.parametrize("id", [MISSING, "x", 5, []])
    def test_a_parent_that_does_not_exist_is_named(self, owner_of_all: Person, id: Any) -> None:
        problem = owner_of_all.put(place(category(owner_of_all)), {"parent_id": id}).problem(422, "validation_error")
        assert list(problem["errors"]) == ["parent_id"]

    def test_a_name_that_a_new_sibling_has_is_refused(self, owner: Person) -> None:
        root = category(owner)
        category(owner, root, name="A")
        other = category(owner, name="A")
        problem = owner.put(place(other), {"parent_id": root["id"]}).problem(409, "already_exists")
        assert list(problem["errors"]) == ["name"]

    def test_of_two_that_move_below_each_other_at_once_one_does(self, owner: Person) -> None:
        for _ in range(6):
            one, other = category(owner), category(owner)
            answers = raced(
                lambda one=one, other=other: owner.put(place(one), {"parent_id": other["id"]}),
                lambda one=one, other=other: owner.put(place(other), {"parent_id": one["id"]}),
            )
            assert statuses(answers) == [200, 422]
            assert sorted(len(owner.get(place(each)).ok()["category"]["path"]) for each in (one, other)) == [1, 2]

    def test_nor_do_three_make_a_ring(self, owner: Person) -> None:
        for _ in range(4):
            ring = [category(owner) for _ in range(3)]
            moves = zip(ring, [*ring[1:], ring[0]], strict=True)
            answers = raced(
                *(lambda a=a, b=b: owner.put(place(a), {"parent_id": b["id"]}) for a, b in moves),
            )
            assert statuses(answers) == [200, 200, 422]


class TestDelete:
    def test_an_empty_one_goes_for_good(self, owner: Person) -> None:
        one = category(owner, name="x")
        assert set(owner.delete(place(one)).ok()) == {"message"}
        owner.delete(place(one)).problem(404, "no_such_category")
        category(owner, name="x")

    def test_nobody_members_and_strangers_remove_none(self, api: Api, owner: Person, stranger: Person) -> None:
        one = category(owner)
        api.delete(place(one)).problem(401, "unauthenticated")
        add_member(owner, "member").delete(place(one)).problem(403, "forbidden")
        stranger.delete(place(one)).problem(404, "no_such_category")
        owner.get(place(one)).ok()

    def test_one_with_children_or_products_stays(self, owner: Person) -> None:
        root, leaf = chain(owner, 2)
        owner.delete(place(root)).problem(409, "category_in_use")
        product = created(owner, category_id=leaf["id"])
        owner.delete(place(leaf)).problem(409, "category_in_use")
        owner.delete(at(product)).ok()
        owner.delete(place(leaf)).problem(409, "category_in_use")
        owner.delete(at(product) + "?hard_delete=true").ok()
        for one in (leaf, root):
            owner.delete(place(one)).ok()

    def test_one_that_fills_meanwhile_is_not_lost(self, owner: Person) -> None:
        for number in range(6):
            one = category(owner)
            fill = {"name": "x", "category_id": one["id"]} if number % 2 else {"name": "x", "parent_id": one["id"]}
            path = PATH if number % 2 else CATEGORIES
            gone, filled = raced(
                lambda one=one: owner.delete(place(one)),
                lambda path=path, fill=fill: owner.post(path, fill),
            )
            assert (gone.status, filled.status) in ((200, 422), (409, 201))


def test_products_are_found_by_a_category_or_one_above_it(owner: Person, stranger: Person) -> None:
    links, aside = chain(owner, 3), category(owner)
    for number, link in enumerate(links):
        created(owner, name=str(number), category_id=link["id"])
    created(owner, name="aside", category_id=aside["id"])
    assert found(owner, f"filter[category_id]={links[0]['id']}") == ["0", "1", "2"]
    assert found(owner, f"filter[category_id]={links[1]['id']}") == ["1", "2"]
    assert found(owner, f"filter[category_id]={links[2]['id']}") == ["2"]
    assert found(owner, f"filter[category_id]={MISSING}") == []
    assert found(stranger, f"filter[category_id]={links[0]['id']}") == []


@settings(max_examples=12, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
@given(moves=st.lists(st.tuples(st.integers(0, 4), st.none() | st.integers(0, 4)), min_size=3, max_size=12))
def test_no_sequence_of_moves_makes_a_ring(platform: Any, moves: list[tuple[int, int | None]]) -> None:
    person = new_person(platform)
    nodes = [category(person) for _ in range(5)]
    parents: dict[int, int | None] = dict.fromkeys(range(5))

    def path_of(node: int | None) -> list[int]:
        return [] if node is None else [*path_of(parents[node]), node]

    for node, parent in moves:
        body = {"parent_id": None if parent is None else nodes[parent]["id"]}
        is_ring = node in path_of(parent)
        assert person.put(place(nodes[node]), body).status == (422 if is_ring else 200)
        if not is_ring:
            parents[node] = parent
    rows = {row["id"]: row["path"] for row in person.get(CATEGORIES).ok()["categories"]}
    for node in parents:
        assert rows[nodes[node]["id"]] == [nodes[step]["name"] for step in path_of(node)]
