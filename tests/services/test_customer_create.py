import itertools
from collections.abc import Callable
from typing import Any

import pytest

from tests.api import Api, Person
from tests.services.helpers import raced, statuses

PATH = "/api/customers/"
FULL: dict[str, Any] = {
    "type": "company",
    "name": "Padaria São João",
    "legal_name": "São João Alimentos Ltda.",
    "email": "contato@padaria.example",
    "emails": ["compras@padaria.example"],
    "phone": "+5511987654321",
    "phones": ["+12025550123"],
    "document_type": "cnpj",
    "document": "12ABC34501DE35",
    "birth_date": "1980-02-29",
    "addresses": [
        {
            "kind": "billing",
            "street": "Avenida Paulista",
            "number": "1000",
            "complement": "10º andar",
            "district": "Bela Vista",
            "city": "São Paulo",
            "state": "SP",
            "postal_code": "01310-100",
            "country": "BR",
        }
    ],
    "owner_id": "0197a3c0-0000-7000-8000-000000000001",
    "lifecycle_stage": "prospect",
    "source": "fair",
    "tags": ["vip", "wholesale"],
    "external_id": "ERP-17",
    "preferred_language": "pt-BR",
    "timezone": "America/Sao_Paulo",
    "consents": {"email": {"granted": True, "at": "2026-01-02T03:04:05Z"}, "sms": {"granted": False}},
    "custom": {"segment": {"code": 7, "open": True}, "list": [1, None, "x"]},
    "notes": "First line\nsecond line",
}
COUNT = itertools.count()


def created(person: Person, **fields: Any) -> dict[str, Any]:
    """A new customer of a person's tenant."""
    customer: dict[str, Any] = person.post(PATH, {"name": f"Customer {next(COUNT)}", **fields}).ok(201)["customer"]
    return customer


def test_every_field_comes_back_as_it_was_sent(owner: Person) -> None:
    answer = owner.post(PATH, FULL)
    customer = answer.ok(201)["customer"]
    assert set(answer.json) == {"message", "customer"}
    assert {name: customer[name] for name in FULL} == FULL
    assert customer["document_formatted"] == "12.ABC.345/01DE-35"
    assert (customer["is_active"], customer["deactivated_at"], customer["version"]) == (True, None, 1)
    assert answer.headers["ETag"] == '"1"'
    assert owner.get(PATH + customer["id"]).ok() == {"customer": customer}


def test_a_name_is_enough(owner: Person) -> None:
    customer = owner.post(PATH, {"name": "  Ana  "}).ok(201)["customer"]
    assert (customer["name"], customer["type"], customer["lifecycle_stage"]) == ("Ana", "person", "lead")
    assert (customer["tags"], customer["custom"], customer["consents"]) == ([], {}, {})


def test_nobody_cannot_create(api: Api) -> None:
    api.post(PATH, {"name": "x"}).problem(401, "unauthenticated")


def test_what_one_tenant_uses_is_free_in_another(owner: Person, stranger: Person) -> None:
    unique = {"email": "same@example.com", "external_id": "1", "document_type": "cpf", "document": "529.982.247-25"}
    created(owner, **unique)
    created(stranger, **unique)


@pytest.mark.parametrize("slash", ["/api/customers", "/api/customers/", "/customer/customers", "/customer/customers/"])
def test_a_trailing_slash_and_the_alias_make_no_difference(owner: Person, slash: str) -> None:
    owner.post(slash, {"name": "x"}).ok(201)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("email", "a@example.com"),
        ("external_id", "17"),
    ],
)
def test_a_repeated_value_is_refused_by_the_name_of_its_field(owner: Person, field: str, value: str) -> None:
    created(owner, **{field: value})
    problem = owner.post(PATH, {"name": "x", field: value}).problem(409, "already_exists")
    assert list(problem["errors"]) == [field]


def test_a_document_is_the_same_however_it_is_written(owner: Person) -> None:
    created(owner, document_type="cpf", document="52998224725")
    again = {"name": "x", "document_type": "cpf", "document": " 529.982.247-25 "}
    assert list(owner.post(PATH, again).problem(409, "already_exists")["errors"]) == ["document"]


def test_an_address_is_the_same_in_any_case(owner: Person) -> None:
    created(owner, email="Ana@Example.COM")
    owner.post(PATH, {"name": "x", "email": "ana@example.com"}).problem(409, "already_exists")


def test_of_many_who_create_the_same_at_once_one_wins(owner: Person) -> None:
    calls = [lambda: owner.post(PATH, {"name": "x", "email": "race@example.com"})] * 6
    assert statuses(raced(*calls)) == [201] + [409] * 5
    assert owner.get(PATH + "?email=race@example.com").ok()["total"] == 1


@pytest.mark.parametrize(
    ("document_type", "document"),
    [
        ("cpf", "529.982.247-24"),
        ("cpf", "111.111.111-11"),
        ("cpf", "00000000000"),
        ("cpf", "５２９９８２２４７２５"),
        ("cpf", "5299822472"),
        ("cnpj", "11.222.333/0001-80"),
        ("cnpj", "00000000000000"),
        ("cnpj", "11111111111111"),
        ("cnpj", "12ABC34501DE34"),
        ("cnpj", "１２ABC34501DE35"),
    ],
)
def test_a_document_with_wrong_check_digits_is_refused(owner: Person, document_type: str, document: str) -> None:
    fields = {"name": "x", "document_type": document_type, "document": document}
    assert list(owner.post(PATH, fields).problem(422, "validation_error")["errors"]) == ["document"]


@pytest.mark.parametrize(
    ("document_type", "document", "kept", "formatted"),
    [
        ("cpf", "529.982.247-25", "52998224725", "529.982.247-25"),
        ("cnpj", "11.222.333/0001-81", "11222333000181", "11.222.333/0001-81"),
        ("cnpj", "12.abc.345/01de-35", "12ABC34501DE35", "12.ABC.345/01DE-35"),
        ("other", "AB-12 3", "AB-12 3", "AB-12 3"),
    ],
)
def test_a_document_is_kept_plain_and_shown_formatted(
    owner: Person, document_type: str, document: str, kept: str, formatted: str
) -> None:
    customer = created(owner, document_type=document_type, document=document)
    assert (customer["document"], customer["document_formatted"]) == (kept, formatted)
    for written in (document, kept):
        assert owner.get(f"{PATH}?document={written.replace(' ', '%20')}").ok()["total"] == 1


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("(11) 98765-4321", "+5511987654321"),
        ("11 98765 4321", "+5511987654321"),
        ("+55 11 98765-4321", "+5511987654321"),
        ("+1 202 555 0123", "+12025550123"),
    ],
)
def test_a_phone_is_kept_as_e164(owner: Person, written: str, kept: str) -> None:
    customer = created(owner, phone=written, phones=[written])
    assert (customer["phone"], customer["phones"]) == (kept, [kept])


@pytest.mark.parametrize(
    ("sent", "kept"), [("01310100", "01310-100"), ("01.310-100", "01310-100"), ("01310 100", "01310-100")]
)
def test_a_cep_is_written_with_its_dash(owner: Person, sent: str, kept: str) -> None:
    assert created(owner, addresses=[{"postal_code": sent}])["addresses"] == [
        {"kind": "main", "country": "BR", "postal_code": kept}
    ]


def test_a_postal_code_abroad_is_kept_as_it_is(owner: Person) -> None:
    address = {"kind": "main", "country": "GB", "postal_code": "SW1A 1AA"}
    assert created(owner, addresses=[address])["addresses"] == [address]


def test_an_international_address_is_accepted(owner: Person) -> None:
    assert created(owner, email="joão@exämple.com")["email"] == "joão@exämple.com"


WRONG: list[tuple[str, Any]] = [
    *((name, 5) for name in ("name", "email", "phone", "birth_date", "owner_id", "notes", "external_id")),
    *((name, "x") for name in ("emails", "phones", "addresses", "tags", "consents", "custom")),
    *((name, None) for name in ("name", "type", "emails", "tags", "consents", "custom", "lifecycle_stage")),
    *((name, "") for name in ("name", "email", "phone", "legal_name", "external_id", "birth_date")),
    *((name, "a\u0000b") for name in ("name", "email", "notes", "external_id", "source")),
    ("name", "a\nb"),
    ("name", "x" * 201),
    ("name", "x" * 1_000_000),
    ("email", "x" * 100_000 + "@example.com"),
    ("phone", "1" * 100_000),
    ("notes", "x" * 10_001),
    ("type", "robot"),
    ("lifecycle_stage", "Lead"),
    ("email", "no at sign"),
    ("email", "a@b@c.example"),
    ("phone", "123"),
    ("phone", "call me"),
    ("document_type", "cpf"),
    ("document", "52998224725"),
    ("birth_date", "2025-02-29"),
    ("birth_date", "29/02/1980"),
    ("owner_id", "me"),
    ("tags", [str(number) for number in range(51)]),
    ("preferred_language", "portuguese"),
    ("timezone", "Mars/Olympus"),
    ("timezone", "../../etc/passwd"),
    ("consents", {"email": {}}),
    ("consents", {"email": {"granted": "yes"}}),
    ("consents", {"email": {"granted": True, "at": "2026-01-01T00:00:00"}}),
    ("consents", {"email": {"granted": True, "at": "0001-01-01T00:00:00+14:00"}}),
    ("consents", {"fax": {"granted": True}}),
    ("custom", {"a": "\u0000"}),
    ("custom", {"a": {"\u0000": 1}}),
    ("custom", {"a": [["\u0000"]]}),
    ("custom", {"": 1}),
    ("custom", {"x" * 61: 1}),
    ("custom", {str(number): 1 for number in range(51)}),
    *((name, 1) for name in ("surprise", "tenant_id", "deactivated_by", "__proto__")),
    *((name, "x") for name in ("id", "version", "created_at", "is_active", "document_formatted")),
]


@pytest.mark.parametrize(("field", "value"), WRONG, ids=lambda value: str(value)[:24].encode("unicode_escape").decode())
def test_a_field_that_cannot_be_accepted_is_named(owner_of_all: Person, field: str, value: Any) -> None:
    problem = owner_of_all.post(PATH, {"name": "x", field: value}).problem(422, "validation_error")
    named = set(problem["errors"])
    assert named & {field, "document" if field == "document_type" else "document_type"}
    assert owner_of_all.get(PATH).ok()["total"] == 0


ITEMS: list[tuple[str, Any]] = [
    ("emails", ["a@example.com", "b"]),
    ("phones", ["+5511987654321", "b"]),
    ("tags", [1]),
    ("tags", [""]),
    ("addresses", [{"postal_code": "123"}]),
    ("addresses", [{"planet": "Mars"}]),
    ("addresses", [{"country": "Brasil"}]),
    ("addresses", [None]),
]


@pytest.mark.parametrize(("field", "value"), ITEMS, ids=str)
def test_an_item_of_a_list_that_cannot_be_accepted_is_named(owner_of_all: Person, field: str, value: Any) -> None:
    problem = owner_of_all.post(PATH, {"name": "x", field: value}).problem(422, "validation_error")
    assert list(problem["errors"]) == [field]


def test_all_wrong_fields_are_named_together(owner: Person) -> None:
    problem = owner.post(PATH, {"email": "x", "phone": "y", "surprise": 1}).problem(422, "validation_error")
    assert set(problem["errors"]) == {"name", "email", "phone", "surprise"}


def test_a_custom_value_may_be_nested_but_not_endlessly(owner: Person) -> None:
    def nested(levels: int) -> Any:
        return {"a": nested(levels - 1)} if levels else 1

    assert created(owner, custom=nested(15))["custom"] == nested(15)
    owner.post(PATH, {"name": "x", "custom": nested(300)}).problem(422, "validation_error")


JSON = {"Content-Type": "application/json"}


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"nonsense",
        b'{"name": NaN}',
        b'{"name": "x", "custom": {"a": Infinity}}',
        b'{"name": "x", "custom": {"a": 1e999}}',
        b'{"name": "\\ud800"}',
        b'{"name": "\xff"}',
        b'{"name": "x"} {}',
        b"[]",
        b'[{"name": "x"}]',
        b'"name"',
        b"null",
        b"5",
        b'{"name": "x", "custom": ' + b"[" * 5000 + b"]" * 5000 + b"}",
    ],
    ids=lambda body: str(body[:30]),
)
def test_what_is_not_a_json_object_is_malformed(owner_of_all: Person, body: bytes) -> None:
    owner_of_all.post(PATH, data=body, headers=JSON).problem(400, "malformed_json")


def test_an_empty_body_lacks_a_name(owner: Person) -> None:
    for headers in (JSON, {"Content-Type": "text/plain"}):
        problem = owner.post(PATH, data=b"", headers=headers).problem(422, "validation_error")
        assert list(problem["errors"]) == ["name"]


@pytest.mark.parametrize("kind", ["text/plain", "application/xml", "application/x-www-form-urlencoded", "image/png"])
def test_another_content_type_is_refused(owner_of_all: Person, kind: str) -> None:
    answer = owner_of_all.post(PATH, data=b'{"name": "x"}', headers={"Content-Type": kind})
    answer.problem(415, "unsupported_media_type")


@pytest.mark.parametrize("kind", ["application/json; charset=utf-8", "application/vnd.api+json"])
def test_json_under_another_label_is_accepted(owner: Person, kind: str) -> None:
    owner.post(PATH, data=b'{"name": "x"}', headers={"Content-Type": kind}).ok(201)


def test_a_tag_is_kept_once(owner: Person) -> None:
    assert created(owner, tags=["b", "a", "b"])["tags"] == ["b", "a"]


def test_a_tenant_chosen_by_header_is_ignored(owner: Person, stranger: Person) -> None:
    headers = {"X-Tenant-Id": stranger.tenant_id, "X-User-Id": stranger.user_id}
    owner.post(PATH, {"name": "mine"}, headers=headers).ok(201)
    assert (owner.get(PATH).ok()["total"], stranger.get(PATH).ok()["total"]) == (1, 0)


def test_a_register_of_many_people_keeps_them_apart(register: Callable[..., Person]) -> None:
    people = [register() for _ in range(3)]
    made = raced(*(lambda person=person: created(person, email="same@example.com") for person in people))
    for person, customer in zip(people, made, strict=True):
        assert [row["id"] for row in person.get(PATH).ok()["customers"]] == [customer["id"]]
