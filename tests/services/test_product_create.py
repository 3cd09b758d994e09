from typing import Any

import pytest

from tests.api import Api, Person, add_member
from tests.services.helpers import raced
from tests.services.product_helpers import (
    FULL,
    GTIN,
    GTIN_12,
    GTIN_14,
    MISSING,
    PATH,
    at,
    bundle,
    category,
    created,
)


def test_every_field_comes_back_as_it_was_sent(owner: Person) -> None:
    answer = owner.post(PATH, FULL)
    product = answer.ok(201)["product"]
    assert set(answer.json) == {"message", "product"}
    assert {name: product[name] for name in FULL} == FULL
    assert product["ncm_formatted"] == "0901.21.00"
    assert (product["is_active"], product["deactivated_at"], product["version"]) == (True, None, 1)
    assert (product["components"], product["billing_period"], product["billing_count"]) == ([], None, None)
    assert answer.headers["ETag"] == '"1"'
    assert owner.get(at(product)).ok() == {"product": product}


def test_a_name_is_enough(owner: Person) -> None:
    product = owner.post(PATH, {"name": "  Hour  "}).ok(201)["product"]
    assert (product["name"], product["kind"], product["unit"], product["currency"]) == ("Hour", "good", "un", "BRL")
    assert (product["price"], product["price_amount"]) == (None, None)
    assert (product["tags"], product["attributes"], product["category_id"]) == ([], {}, None)


def test_it_stands_in_a_category(owner: Person) -> None:
    shelf = category(owner)
    assert created(owner, category_id=shelf["id"])["category_id"] == shelf["id"]


def test_nobody_and_viewers_cannot_create(api: Api, owner: Person) -> None:
    api.post(PATH, {"name": "x"}).problem(401, "unauthenticated")
    add_member(owner, "viewer").post(PATH, {"name": "x"}).problem(403, "forbidden")


def test_what_one_tenant_uses_is_free_in_another(owner: Person, stranger: Person) -> None:
    unique = {"sku": "same", "gtin": GTIN, "external_id": "1"}
    created(owner, **unique)
    created(stranger, **unique)


@pytest.mark.parametrize("slash", ["/api/products", "/api/products/", "/product/products", "/product/products/"])
def test_a_trailing_slash_and_the_alias_make_no_difference(owner: Person, slash: str) -> None:
    owner.post(slash, {"name": "x"}).ok(201)


@pytest.mark.parametrize(
    ("kept", "again"),
    [
        ({"sku": "A-1"}, {"sku": " A-1 "}),
        ({"external_id": "17"}, {"external_id": "17"}),
        ({"gtin": GTIN}, {"gtin": "789-1000 315507"}),
        ({"gtin": GTIN_12}, {"gtin": GTIN_14}),
        ({"gtin": GTIN_14}, {"gtin": "0" + GTIN_12}),
    ],
    ids=str,
)
def test_a_repeated_value_is_refused_by_the_name_of_its_field(owner: Person, kept: Any, again: Any) -> None:
    created(owner, **kept)
    problem = owner.post(PATH, {"name": "x", **again}).problem(409, "already_exists")
    assert list(problem["errors"]) == list(kept)


def test_a_sku_is_kept_as_it_is_written(owner: Person) -> None:
    created(owner, sku="a-1")
    assert created(owner, sku="A-1")["sku"] == "A-1"


def test_a_repeated_post_with_one_key_makes_one_product(owner: Person) -> None:
    headers = {"Idempotency-Key": "once"}
    first, second = (owner.post(PATH, {"name": "x"}, headers=headers).ok(201) for _ in range(2))
    assert first == second
    assert owner.get(PATH).ok()["total"] == 1


class TestPrice:
    @pytest.mark.parametrize(
        ("fields", "price", "amount"),
        [
            ({"price": "34.12"}, "34.12", 3412),
            ({"price": "34.1"}, "34.10", 3410),
            ({"price": " 34 "}, "34.00", 3400),
            ({"price": "34.120000"}, "34.12", 3412),
            ({"price": 34.12}, "34.12", 3412),
            ({"price": 1e2}, "100.00", 10000),
            ({"price": 7}, "7.00", 700),
            ({"price": 0}, "0.00", 0),
            ({"price_amount": 3412}, "34.12", 3412),
            ({"price": "34.12", "price_amount": 3412}, "34.12", 3412),
            ({"price": "500", "currency": "JPY"}, "500", 500),
            ({"price": "500.00", "currency": "JPY"}, "500", 500),
            ({"price": "1.234", "currency": "KWD"}, "1.234", 1234),
            ({"price": None, "price_amount": None}, None, None),
            ({"price_amount": 10**15}, "10000000000000.00", 10**15),
        ],
        ids=str,
    )
    def test_it_comes_in_either_unit_and_goes_out_in_both(
        self, owner_of_all: Person, fields: Any, price: str | None, amount: int | None
    ) -> None:
        product = created(owner_of_all, **fields)
        assert (product["price"], product["price_amount"]) == (price, amount)
        owner_of_all.delete(at(product) + "?hard_delete=true").ok()

    @pytest.mark.parametrize(
        "fields",
        [
            *({"price": value} for value in ("", "x", "-1", "+1", "1e2", "1,5", ".5", "34.123", "٣", "1_0", "0x1")),
            *({"price": value} for value in (-1, -0.01, 34.123, 0.1 + 0.2, 1e300, True, [], {}, "1\u0000")),
            *({"price": value} for value in ("99999999999999.99", "1" * 16, "1" * 100_000, 2**70)),
            {"price": "0.5", "currency": "JPY"},
            *({"price_amount": value} for value in (-1, 34.12, "3412", True, [], 10**15 + 1, 2**63, 2**70)),
            {"price": "34.12", "price_amount": 3411},
            {"price": None, "price_amount": 1},
            {"price": "34.12", "price_amount": None},
            *({"currency": value} for value in ("brl", "XXX", "XAU", "", None, 5, "BRLL", [])),
        ],
        ids=lambda fields: str(fields)[:40],
    )
    def test_one_that_cannot_be_accepted_is_named(self, owner_of_all: Person, fields: Any) -> None:
        problem = owner_of_all.post(PATH, {"name": "x", **fields}).problem(422, "validation_error")
        assert set(problem["errors"]) <= set(fields)
        assert owner_of_all.get(PATH).ok()["total"] == 0


@pytest.mark.parametrize(
    ("field", "sent", "kept"),
    [
        ("gtin", "96385074", "96385074"),
        ("gtin", "0360-0029 1452", GTIN_12),
        ("gtin", "10614141000415", "10614141000415"),
        ("ncm", "8471.30.12", "84713012"),
        ("cest", "28.038.00", "2803800"),
        ("cfop", "5.102", "5102"),
        ("origin", 8, 8),
        ("tax_rate_bps", 100_000, 100_000),
        ("description", "", ""),
        ("tags", ["b", "a", "b"], ["b", "a"]),
    ],
)
def test_a_value_is_kept_in_its_plain_form(owner: Person, field: str, sent: Any, kept: Any) -> None:
    assert created(owner, **{field: sent})[field] == kept


ABSENT = ("description", "sku", "gtin", "category_id", "external_id", "ncm", "cest", "cfop", "tax_class")
WRONG: list[tuple[str, Any]] = [
    *((name, 5) for name in ("name", "unit", "kind", "tags", "attributes", "components", *ABSENT)),
    *((name, ["x"]) for name in ("name", "unit", "kind", "attributes", "origin", "tax_rate_bps", *ABSENT)),
    *((name, {}) for name in ("name", "unit", "tags", "components", *ABSENT)),
    *((name, None) for name in ("name", "unit", "kind", "tags", "attributes", "components")),
    *((name, "") for name in ("name", "unit", "kind", "sku", "gtin", "external_id", "ncm", "cest", "cfop")),
    *((name, "a\u0000b") for name in ("name", "description", "sku", "gtin", "unit", "external_id", "tax_class")),
    *((name, value) for name in ("origin", "tax_rate_bps") for value in (-1, 1.5, "1", True, 2**63, 2**70, 1e300)),
    ("name", "x" * 201),
    ("name", "x" * 1_000_000),
    ("name", "a\nb"),
    ("description", "x" * 10_001),
    ("sku", "x" * 65),
    ("unit", "x" * 11),
    ("kind", "Good"),
    ("gtin", "7891000315508"),
    ("gtin", "789100031550"),
    ("gtin", "00000000"),
    ("gtin", "٧891000315507"),
    ("gtin", "1" * 100_000),
    ("category_id", "shelf"),
    ("category_id", MISSING),
    ("tags", [str(number) for number in range(51)]),
    ("tags", [1]),
    ("attributes", {"a": "\u0000"}),
    ("attributes", {"": 1}),
    ("attributes", []),
    ("ncm", "8471301"),
    ("ncm", "8471-30-12"),
    ("ncm", "８４７１３０１２"),
    ("cest", "280380"),
    ("origin", 9),
    *(("cfop", value) for value in ("4102", "0102", "8102", "9102", "510", "51022", "5l02")),
    ("tax_rate_bps", 100_001),
    ("tax_class", "x" * 41),
    ("billing_period", "month"),
    ("billing_count", 1),
    *((name, 1) for name in ("surprise", "tenant_id", "gtin14", "parts", "deactivated_by", "__proto__")),
    *((name, "x") for name in ("id", "version", "created_at", "is_active", "ncm_formatted")),
]


@pytest.mark.parametrize(("field", "value"), WRONG, ids=lambda value: str(value)[:24].encode("unicode_escape").decode())
def test_a_field_that_cannot_be_accepted_is_named(owner_of_all: Person, field: str, value: Any) -> None:
    problem = owner_of_all.post(PATH, {"name": "x", field: value}).problem(422, "validation_error")
    assert list(problem["errors"]) == [field]
    assert owner_of_all.get(PATH).ok()["total"] == 0


def test_all_wrong_fields_are_named_together(owner: Person) -> None:
    problem = owner.post(PATH, {"price": "x", "ncm": "y", "surprise": 1}).problem(422, "validation_error")
    assert set(problem["errors"]) == {"name", "price", "ncm", "surprise"}


@pytest.mark.parametrize(
    "body",
    [b"{", b'{"name": NaN}', b'{"name": "x", "price": 1e999}', b'{"name": "\\ud800"}', b"[]", b"null", b"5"],
    ids=str,
)
def test_what_is_not_a_json_object_is_malformed(owner_of_all: Person, body: bytes) -> None:
    headers = {"Content-Type": "application/json"}
    owner_of_all.post(PATH, data=body, headers=headers).problem(400, "malformed_json")


def test_a_category_of_another_tenant_does_not_exist(owner: Person, stranger: Person) -> None:
    problem = stranger.post(PATH, {"name": "x", "category_id": category(owner)["id"]}).problem(422, "validation_error")
    assert list(problem["errors"]) == ["category_id"]


class TestSubscription:
    def test_it_is_billed_monthly_unless_it_says_otherwise(self, owner: Person) -> None:
        product = created(owner, kind="subscription")
        assert (product["billing_period"], product["billing_count"]) == ("month", 1)
        product = created(owner, kind="subscription", billing_period="year", billing_count=366)
        assert (product["billing_period"], product["billing_count"]) == ("year", 366)

    @pytest.mark.parametrize(
        ("field", "value"),
        [
            *(("billing_period", value) for value in ("fortnight", "", None, 1)),
            *(("billing_count", value) for value in (0, 367, -1, None, "1", 1.5, True, 2**70)),
        ],
    )
    def test_an_odd_rhythm_is_named(self, owner_of_all: Person, field: str, value: Any) -> None:
        body = {"name": "x", "kind": "subscription", field: value}
        assert list(owner_of_all.post(PATH, body).problem(422, "validation_error")["errors"]) == [field]


class TestBundle:
    def test_it_holds_products_in_the_order_they_were_named(self, owner: Person) -> None:
        parts = [created(owner) for _ in range(3)]
        components = [{"product_id": part["id"], "quantity": n} for n, part in enumerate(reversed(parts), 1)]
        assert created(owner, kind="bundle", components=components)["components"] == components

    def test_a_part_counts_once_unless_it_says_otherwise(self, owner: Person) -> None:
        part = created(owner)
        assert bundle(owner, part)["components"] == [{"product_id": part["id"], "quantity": 1}]

    def test_it_is_made_of_active_products_of_its_tenant_that_are_no_bundles(
        self, owner: Person, stranger: Person
    ) -> None:
        gone, foreign, nested = created(owner), created(stranger), bundle(owner, created(owner))
        owner.delete(at(gone)).ok()
        for id in (gone["id"], foreign["id"], nested["id"], MISSING):
            body = {"name": "x", "kind": "bundle", "components": [{"product_id": id}]}
            assert list(owner.post(PATH, body).problem(422, "validation_error")["errors"]) == ["components"]

    @pytest.mark.parametrize(
        "components",
        [
            *([], None, {}, "x", [None], [{}], [{"quantity": 1}], [{"product_id": "x"}], [MISSING]),
            *([{"product_id": MISSING, "quantity": n}] for n in (0, -1, 1.5, "1", True, None, 2**31, 2**70)),
            [{"product_id": MISSING, "surprise": 1}],
            [{"product_id": MISSING, "position": 1}],
            [{"product_id": MISSING}] * 101,
        ],
        ids=lambda components: str(components)[:40],
    )
    def test_odd_components_are_named(self, owner_of_all: Person, components: Any) -> None:
        body = {"name": "x", "kind": "bundle", "components": components}
        assert list(owner_of_all.post(PATH, body).problem(422, "validation_error")["errors"]) == ["components"]

    def test_nothing_is_in_it_twice_and_nothing_is_no_bundle(self, owner: Person) -> None:
        part = {"product_id": created(owner)["id"]}
        for body in (
            {"kind": "bundle", "components": [part, part | {"quantity": 2}]},
            {"kind": "bundle"},
            {"kind": "good", "components": [part]},
        ):
            problem = owner.post(PATH, {"name": "x", **body}).problem(422, "validation_error")
            assert list(problem["errors"]) == ["components"]

    def test_a_part_that_goes_for_good_meanwhile_is_in_no_bundle(self, owner: Person) -> None:
        for _ in range(4):
            part = created(owner)
            body = {"name": "x", "kind": "bundle", "components": [{"product_id": part["id"]}]}
            gone, made = raced(
                lambda part=part: owner.delete(at(part) + "?hard_delete=true"),
                lambda body=body: owner.post(PATH, body),
            )
            assert (gone.status, made.status) in ((200, 422), (409, 201))
            if gone.status == 409:
                gone.problem(409, "product_in_bundle")
