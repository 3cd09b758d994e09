"""A row that is only shown looks like the record that it is of."""

from datetime import UTC
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.blueprint import dumps
from kit.driver import _uuid
from kit.rows import Shown, shower
from services.customer import schemas
from services.customer.models import Customer
from services.product.models import Product
from services.tenant.models import Tenant
from tests.api import Person

texts = st.none() | st.text(max_size=5)
lists = st.lists(st.text(max_size=3), max_size=3)
LIKELY = {
    "id": st.uuids(),
    "emails": lists,
    "phones": lists,
    "tags": lists,
    "addresses": st.lists(st.fixed_dictionaries({"street": texts}), max_size=2),
    "consents": st.just({}),
    "custom": st.dictionaries(st.text(max_size=3), st.integers(0, 9), max_size=2),
    "is_active": st.booleans(),
    "version": st.integers(1, 9),
    "document_type": st.sampled_from([None, "cpf", "cnpj", "other"]),
    "document": st.sampled_from([None, "52998224725", "12ABC34501DE35"]),
    "birth_date": st.none() | st.dates(),
    "created_at": st.datetimes(timezones=st.just(UTC)),
}
KEYS = [column.key for column in Customer.__table__.columns]
LEFT = dict.fromkeys(("owner_id", "merged_into_id", "erased_at", "deactivated_at", "deactivated_by", "updated_at"))


@given(st.fixed_dictionaries({key: LIKELY.get(key, st.none() if key in LEFT else texts) for key in KEYS}))
def test_a_shown_row_is_written_as_marshmallow_dumps_the_record(values: dict[str, Any]) -> None:
    show = shower(Customer)
    assert show is not None
    shown = show([values[key] for key in KEYS])
    schema = schemas.Customer()
    assert dumps(schema.writer.one(shown)) == dumps(schema.dump(Customer(**values)))
    assert shown.identifying.__func__ is Customer.identifying


def test_what_a_row_shows_cannot_be_changed_but_added_to() -> None:
    show: Any = shower(Customer)
    row = show([None] * len(KEYS))
    with pytest.raises(AttributeError, match="lock the record"):
        row.name = "Ana"
    row.balance = 5
    assert row.balance == 5
    assert isinstance(row, Shown)


@pytest.mark.parametrize("model", [Product, Tenant])
def test_a_model_with_relationships_or_synonyms_stays_with_the_orm(model: Any) -> None:
    assert shower(model) is None


@given(st.uuids())
def test_an_id_is_read_as_python_reads_it(id: UUID) -> None:
    read: Any = _uuid(str(id), None)
    assert (read, hash(read), repr(read), read.is_safe) == (id, hash(id), repr(id), id.is_safe)
    assert _uuid(None, None) is None


def test_one_customer_and_a_list_look_like_what_writing_answered(owner: Person) -> None:
    body = {"name": "Ana", "emails": ["ana@example.com"], "custom": {"a": [1]}, "birth_date": "1990-02-03"}
    made = owner.post("/api/customers/", json=body).ok(201)["customer"]
    assert owner.get(f"/api/customers/{made['id']}").ok()["customer"] == made
    assert owner.get("/api/customers/").ok()["customers"] == [made]
