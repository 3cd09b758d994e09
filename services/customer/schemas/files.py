"""The JSON of many customers at once, and their CSV: the same columns out and in."""

import re
from collections.abc import Iterable
from typing import Any

from marshmallow import ValidationError, fields, validate

from kit.schema import Line, Moment, PageQuery, Query, Schema
from services.customer import models
from services.customer.schemas.customers import SOMEBODY, Address, Customer, format_document

LIST_SEPARATOR = "|"
ESCAPED = re.compile(r"\\([|\\])")
LIST_ITEM = re.compile(rf"(?:{ESCAPED.pattern}|[^|])+")
MAX_BATCH = 500

LISTS = ("emails", "phones", "tags")
ADDRESS = {f"address_{name}": name for name in Address().fields}
COLUMNS = (
    *("type", "name", "legal_name", "email", "emails", "phone", "phones", "document_type", "document", "birth_date"),
    *("lifecycle_stage", "source", "tags", "external_id", "preferred_language", "timezone", "notes"),
    *ADDRESS,
)
READ_ONLY = ("id", "is_active", "created_at", "updated_at")  # written, and ignored when they come back
CODES = ("email", "phone", "phones", "document", "external_id", "address_postal_code")

_customer = Customer(partial=True, exclude=[name for name, field in Customer().fields.items() if field.dump_only])


def csv_row(customer: models.Customer) -> list[Any]:
    """The cells of a customer in a file, in the order of READ_ONLY and COLUMNS. Of several addresses the first."""
    shown = {name: getattr(customer, name) for name in (*READ_ONLY, *COLUMNS) if name not in ADDRESS}
    shown |= {name: join_items(shown[name]) for name in LISTS}
    shown["document"] = format_document(customer)
    first = next(iter(customer.addresses), {})
    shown |= {column: first.get(name) for column, name in ADDRESS.items()}
    texts = {name: value if value is None else str(value) for name, value in shown.items()}
    return [texts[name] for name in (*READ_ONLY, *COLUMNS)]


def read_cells(cells: dict[str, str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Checked fields of a row, and what is wrong with it by column. Of addresses a file holds the first: `address`."""
    fields: dict[str, Any] = {name: cells[name] for name in cells if name in COLUMNS and name not in ADDRESS}
    for name in LISTS:
        if name in fields:
            fields[name] = split_items(fields[name])
    if "document" in fields and "document_type" not in fields:
        fields["document_type"] = _kind(fields["document"])
    address = {name: cells[column] for column, name in ADDRESS.items() if column in cells}
    checked, errors = read_customer(fields | ({"addresses": [address]} if address else {}))
    if "addresses" in checked:
        (checked["address"],) = checked.pop("addresses")
    return checked, errors


def join_items(items: Iterable[str]) -> str:
    r"""The cell of a list: `atacado|vip`. Inside an item `|` is written as `\|`, and `\` as `\\`."""
    return LIST_SEPARATOR.join(re.sub(r"([|\\])", r"\\\1", item) for item in items)


def split_items(cell: str) -> list[str]:
    r"""The list in a cell, without blank items. A `\` that stands before anything else is itself."""
    items = (ESCAPED.sub(r"\1", item[0]) for item in LIST_ITEM.finditer(cell))
    return [item for item in items if item.strip()]


def _kind(document: str) -> str:
    digits = "".join(filter(str.isalnum, document))
    return {11: "cpf", 14: "cnpj"}.get(len(digits), "other")


def read_customer(data: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Checked fields of one customer, and what is wrong with it by field."""
    try:
        return _customer.load(data), {}
    except ValidationError as error:
        return {}, _as_json(error.normalized_messages())


def _as_json(messages: dict[Any, Any]) -> dict[str, Any]:
    """Messages whose keys are all texts: marshmallow names an item of a list by its number, which no JSON can."""
    return {str(key): _as_json(value) if isinstance(value, dict) else value for key, value in messages.items()}


class BatchUpsert(Schema):
    """Customers to keep. `id_property` says by what each is found again; without it by whatever identifies it."""

    id_property = Line(allow_none=True, load_default=None, validate=validate.OneOf(models.ID_PROPERTIES))
    mode = Line(load_default="upsert", validate=validate.OneOf(models.MODES))
    inputs = fields.List(fields.Dict(), required=True, validate=validate.Length(1, MAX_BATCH))

    example = {
        "id_property": "external_id",
        "inputs": [
            {"external_id": "ERP-1042", "name": "Mercado São João", "lifecycle_stage": "customer"},
            {"external_id": "ERP-1043", "name": "Café Aurora", "lifecycle_stage": "prospect"},
        ],
    }


class BatchResult(Schema):
    """What came of one input, counted from 0."""

    index = fields.Integer(attribute="number")
    outcome = fields.String()
    customer_id = fields.UUID(allow_none=True)
    errors = fields.Dict(allow_none=True)

    example = {"index": 0, "outcome": "created", "customer_id": SOMEBODY}


class BatchResults(Schema):
    """What came of each input, and how many came to what."""

    bare = True

    results = fields.List(fields.Nested(BatchResult))
    created = fields.Integer()
    updated = fields.Integer()
    unchanged = fields.Integer()
    faulty = fields.Integer()

    example = {"created": 1, "updated": 0, "unchanged": 0, "faulty": 0}


class ImportOptions(Query):
    """How a file is to be taken in."""

    dry_run = fields.Boolean(load_default=False)
    skip_faulty = fields.Boolean(load_default=False)
    id_property = Line(load_default=None, validate=validate.OneOf(models.ID_PROPERTIES))


class Import(Schema):
    """A file on its way in. `rows` counts what its rows came to; `position` is the last row of the present pass."""

    class Meta(Schema.Meta):
        model = models.Import

    id = fields.UUID()
    status = fields.String()
    is_dry_run = fields.Boolean()
    skips_faulty = fields.Boolean()
    id_property = fields.String()
    total = fields.Integer()
    position = fields.Integer()
    rows = fields.Dict(keys=fields.String(), values=fields.Integer())
    created_at = Moment()
    finished_at = Moment()

    example = {
        "status": "finished",
        "is_dry_run": False,
        "skips_faulty": True,
        "total": 240,
        "position": 240,
        "rows": {"created": 236, "faulty": 4},
        "finished_at": "2026-07-02T14:06:00Z",
    }


class ImportRow(Schema):
    """What came of a row, counted as a spreadsheet shows it; `errors` by column."""

    singular = "row"

    number = fields.Integer()
    outcome = fields.String(allow_none=True)
    customer_id = fields.UUID(allow_none=True)
    errors = fields.Dict(allow_none=True)

    example = {
        "number": 2,
        "outcome": "faulty",
        "errors": {"document": ["Not a valid CNPJ: its check digits do not match."]},
    }


class ImportRowFilters(PageQuery):
    """What a report can be narrowed by."""

    outcome = Line(validate=validate.OneOf(models.OUTCOMES))
