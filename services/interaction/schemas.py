"""The JSON of interaction."""

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from marshmallow import ValidationError, fields, post_load, validate, validates_schema

from kit import clock
from kit.money import Amount, CurrencyCode, to_decimal
from kit.schema import Flag, Line, Moment, PageQuery, Prose, Query, Schema, Whole, naming, short
from services.interaction import models

LATEST = timedelta(days=1)  # clocks differ, and so do days: UTC+14 writes tomorrow's date
MAX_SECONDS = 10**7  # four months
STATUSES = ("open", "overdue", "settled", "reversed")
GROUPS = ("month", "category", "kind")
CSV_COLUMNS = (
    *("occurred_on", "kind", "description", "reference", "amount", "balance", "currency"),
    *("id", "settles_id", "reverses_id"),
)


def check_words(text: str) -> None:
    """Refuse a text of nothing but blanks."""
    if not text.strip():
        raise ValidationError("Write something.")


def check_moment(moment: datetime) -> None:
    """Refuse a moment that cannot have been yet, and one that nobody remembers."""
    if moment.year < 1900:
        raise ValidationError("Give a moment after 1900.")
    if moment > clock.now() + LATEST:
        raise ValidationError("This moment is still to come.")


def check_day(day: date) -> None:
    """The same for a day."""
    if day.year < 1900:
        raise ValidationError("Give a day after 1900.")
    if day > (clock.now() + LATEST).date():
        raise ValidationError("This day is still to come.")


def check_due(day: date) -> None:
    """A day that something may be due on: it can lie ahead."""
    if day.year < 1900:
        raise ValidationError("Give a day after 1900.")


# --- Interactions ----------------------------------------------------------------------------------------------------


class InteractionType(Schema):
    """A kind of interaction. Its code stays what it is."""

    class Meta(Schema.Meta):
        model = models.InteractionType

    id = fields.UUID(dump_only=True)
    code = Line(
        required=True, validate=validate.Regexp(r"^[a-z][a-z0-9_]{0,39}\Z", error="Write it like `site_visit`.")
    )
    name = Line(required=True, validate=validate.Length(1, 100))
    is_active = fields.Boolean(dump_only=True)
    created_at = Moment(dump_only=True)
    updated_at = Moment(dump_only=True)
    version = fields.Integer(dump_only=True)

    example = {"code": "site_visit", "name": "Visita ao cliente"}


class InteractionTypeName(InteractionType):
    """What of a type can be changed."""

    class Meta(InteractionType.Meta):
        dump_only = ("code",)


class KindOfInteraction(Schema):
    """What kind an interaction is of."""

    id = fields.UUID(metadata=naming("interaction_type"))
    code = fields.String()
    name = fields.String()

    example = {"code": "call", "name": "Ligação"}


class Related(Schema):
    """What an interaction is about, in other services."""

    order_id = fields.UUID(metadata=naming("order"))
    ticket_id = fields.UUID(metadata=naming("ticket"))
    invoice_id = fields.UUID(metadata=naming("invoice"))

    @post_load
    def write_ids(self, data: dict[str, Any], **_: Any) -> dict[str, Any]:
        """Ids as the texts that a JSON column keeps."""
        return {name: str(id) for name, id in data.items()}


class TypeReference(Line):
    """A type by its id or its code; answered as the id."""

    def _serialize(self, value: Any, *args: Any, **kwargs: Any) -> Any:
        return None if value is None else str(value)


class Interaction(Schema):
    """Something that happened with a customer."""

    class Meta(Schema.Meta):
        model = models.Interaction

    id = fields.UUID(dump_only=True)
    customer_id = fields.UUID(dump_only=True)
    id_interaction_type = TypeReference(required=True, attribute="type_id", validate=validate.Length(1, 64))
    interaction_type = fields.Nested(KindOfInteraction, attribute="type", dump_only=True)
    ds_notes = Prose(required=True, validate=[validate.Length(1, 20_000), check_words])
    subject = short(200)
    direction = Line(allow_none=True, validate=validate.OneOf(models.DIRECTIONS))
    outcome = short(100)
    happened_at = Moment(validate=check_moment)
    duration_seconds = fields.Integer(strict=True, allow_none=True, validate=validate.Range(0, MAX_SECONDS))
    user_id = fields.UUID(dump_only=True)
    related = Whole(Related)
    pinned = Flag()
    is_active = fields.Boolean(dump_only=True)
    created_at = Moment(dump_only=True)
    updated_at = Moment(dump_only=True)
    version = fields.Integer(dump_only=True)

    example = {
        "id_interaction_type": "call",
        "ds_notes": "Querem 200 por dia, já na segunda.",
        "subject": "Pedido semanal",
    }

    @post_load
    def normalise(self, data: dict[str, Any], **_: Any) -> dict[str, Any]:
        """The type as what it is so far: a reference."""
        if "type_id" in data:
            data["type_reference"] = data.pop("type_id")
        return data


class TypeFilters(PageQuery):
    """Which types."""

    active_only = fields.Boolean(load_default=True)


class InteractionFilters(PageQuery):
    """What a list of interactions can be narrowed by."""

    active_only = fields.Boolean(load_default=True)
    search = Line(validate=validate.Length(max=200))
    type_reference = Line(data_key="filter[type]", validate=validate.Length(max=64))
    user_id = fields.UUID(data_key="filter[user_id]")
    happened_from = Moment()
    happened_to = Moment()


class AllInteractionFilters(InteractionFilters):
    """The same, for all customers."""

    customer_id = fields.UUID(data_key="filter[customer_id]")


# --- Transactions ----------------------------------------------------------------------------------------------------


PROMISE = {"kind": "receivable", "amount": 90000, "currency": "BRL", "due_date": "2026-07-30", "reference": "NF-e 1042"}


class Transaction(Schema):
    """A line of a customer's ledger; amounts are whole numbers of the currency's minor unit."""

    class Meta(Schema.Meta):
        model = models.Transaction

    id = fields.UUID(dump_only=True)
    customer_id = fields.UUID(dump_only=True)
    kind = Line(required=True, validate=validate.OneOf(models.KINDS))
    amount = Amount(least=1, required=True)
    currency = CurrencyCode()
    occurred_on = fields.Date(validate=check_day)
    due_date = fields.Date(validate=check_due, allow_none=True)
    category = short(60)
    description = Prose(allow_none=True, validate=validate.Length(max=2000))
    method = Line(allow_none=True, validate=validate.OneOf(models.METHODS))
    reference = short(100)
    settles_id = fields.UUID(dump_only=True)
    reverses_id = fields.UUID(dump_only=True)
    status = fields.String(dump_only=True)
    settled_amount = fields.Integer(dump_only=True)
    outstanding_amount = fields.Integer(dump_only=True)
    is_overdue = fields.Boolean(dump_only=True)
    created_at = Moment(dump_only=True)
    created_by = fields.UUID(dump_only=True, metadata=naming("user"))

    example = PROMISE | {"status": "open", "settled_amount": 0, "outstanding_amount": 90000, "is_overdue": False}

    @validates_schema
    def check_due_date(self, data: dict[str, Any], **_: Any) -> None:
        """A promise has a day, and what has moved has none."""
        is_promise, has_day = data.get("kind") in models.PROMISES, data.get("due_date") is not None
        if is_promise and not has_day:
            raise ValidationError({"due_date": ["Say when this is due."]})
        if has_day and not is_promise:
            raise ValidationError({"due_date": ["Only a receivable or a payable is due on a day."]})


class Settlement(Schema):
    """How a promise is kept. Without an amount, all that is left."""

    amount = Amount(least=1)
    occurred_on = fields.Date(validate=check_day)
    method = Line(allow_none=True, validate=validate.OneOf(models.METHODS))
    description = Prose(allow_none=True, validate=validate.Length(max=2000))

    example = {"amount": 45000, "method": "pix", "description": "Primeira metade"}


class Reversal(Schema):
    """Why a line is undone, and when."""

    occurred_on = fields.Date(validate=check_day)
    description = Prose(allow_none=True, validate=validate.Length(max=2000))

    body_is_optional = True
    example = {"description": "Lançado no cliente errado."}


class TransactionFilters(PageQuery):
    """What a list of transactions can be narrowed by. All four days are included."""

    kind = Line(data_key="filter[kind]", validate=validate.OneOf(models.KINDS))
    currency = CurrencyCode(data_key="filter[currency]")
    status = Line(data_key="filter[status]", validate=validate.OneOf(STATUSES))
    occurred_from = fields.Date()
    occurred_to = fields.Date()
    due_from = fields.Date()
    due_to = fields.Date()


class AllTransactionFilters(TransactionFilters):
    """The same, for all customers."""

    customer_id = fields.UUID(data_key="filter[customer_id]")


class Period(Query):
    """From one day to another, both included."""

    since = fields.Date(data_key="from")
    until = fields.Date(data_key="to")

    @validates_schema
    def check_order(self, data: dict[str, Any], **_: Any) -> None:
        """The first day comes first."""
        if "since" in data and "until" in data and data["since"] > data["until"]:
            raise ValidationError({"to": ["This is before `from`."]})


class StatementPeriod(Period):
    currency = CurrencyCode()


class Grouping(Period):
    group_by = Line(load_default="month", validate=validate.OneOf(GROUPS))


class Balance(Schema):
    """What a customer is worth and owes, in one currency, in minor units."""

    currency = fields.String()
    balance = fields.Integer()
    receivable = fields.Integer()
    payable = fields.Integer()
    overdue = fields.Integer()

    example = {"currency": "BRL", "balance": 45000, "receivable": 45000, "payable": 0, "overdue": 0}


class Balances(Schema):
    """One line for each currency."""

    bare = True

    balances = fields.List(fields.Nested(Balance))


class StatementEntry(Schema):
    """A line that moved the balance: `amount` is its effect, with its sign, and `balance` what came of it."""

    id = fields.UUID(metadata=naming("transaction"))
    occurred_on = fields.Date()
    kind = fields.String()
    description = fields.String(allow_none=True)
    reference = fields.String(allow_none=True)
    amount = fields.Integer()
    balance = fields.Integer()
    settles_id = fields.UUID(allow_none=True)
    reverses_id = fields.UUID(allow_none=True)

    example = {"occurred_on": "2026-07-02", "kind": "income", "amount": 45000, "balance": 45000}


class Statement(Schema):
    """How a balance came about."""

    customer_id = fields.UUID()
    currency = fields.String()
    since = fields.Date(data_key="from", allow_none=True)
    until = fields.Date(data_key="to", allow_none=True)
    opening_balance = fields.Integer()
    closing_balance = fields.Integer()
    entries = fields.List(fields.Nested(StatementEntry), attribute="lines")

    example = {"currency": "BRL", "from": "2026-07-01", "opening_balance": 0, "closing_balance": 45000}


def csv_rows(statement: Any) -> Iterator[list[Any]]:
    """The entries of a statement for a file, with amounts in major units."""

    def major(amount: int) -> Decimal:
        return Decimal(to_decimal(amount, statement.currency))

    for line in statement.lines:
        written = [line.occurred_on, line.kind, line.description, line.reference]
        figures = [major(line.amount), major(line.balance), statement.currency]
        yield [*written, *figures, line.id, line.settles_id, line.reverses_id]


class SummaryLine(Schema):
    """What one group comes to in one currency, in minor units."""

    group = fields.String(allow_none=True)
    currency = fields.String()
    income = fields.Integer()
    expense = fields.Integer()
    net = fields.Integer()
    receivable = fields.Integer()
    payable = fields.Integer()

    example = {"group": "2026-07", "currency": "BRL", "income": 45000, "expense": 0, "net": 45000}


class Summary(Schema):
    """One line for each group and currency; `group` is null for what has no category."""

    bare = True

    summary = fields.List(fields.Nested(SummaryLine))


# --- Both ------------------------------------------------------------------------------------------------------------


class Event(Schema):
    """Something on the timeline."""

    plural = "timeline"

    kind = fields.String()
    at = Moment()
    interaction = fields.Nested(Interaction, allow_none=True)
    transaction = fields.Nested(Transaction, allow_none=True)


class Glance(Schema):
    """A customer's history in figures, for customer."""

    bare = True

    interaction_count = fields.Integer()
    last_interaction_at = Moment(allow_none=True)
    transaction_count = fields.Integer()
    interactions = fields.List(fields.Nested(Interaction))
    balances = fields.List(fields.Nested(Balance))


class Records(Schema):
    """All that is kept about a customer, for customer."""

    bare = True

    interactions = fields.List(fields.Nested(Interaction))
    transactions = fields.List(fields.Nested(Transaction))
