"""Upserts: many customers at once, each found again by what identifies it, so that repeating changes nothing."""

from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from kit import clock
from kit.database_errors import from_database
from services.customer.domain.customers import change, differences
from services.customer.models import ID_PROPERTIES, Customer, CustomerKey, db, keys_of


@dataclass(slots=True)
class Row:
    """One customer to be kept: its number for the report, its checked fields or what is wrong with them, its marks."""

    number: int
    fields: dict[str, Any]
    errors: dict[str, Any] = field(default_factory=dict)
    outcome: str | None = None
    customer_id: UUID | None = None
    marks: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        if self.errors:
            self.outcome = "faulty"

    def refuse(self, **errors: Any) -> None:
        """Leave this row out, and say why."""
        self.outcome, self.errors, self.customer_id = "faulty", errors, None


def marks_of(fields: dict[str, Any], id_property: str | None) -> list[str]:
    """The keys by which a row is found again, the strongest first: those of its own, else its name with a phone or a
    further address, which others may share."""
    keys, main = keys_of(fields), _main_keys_of(fields)
    names = (id_property,) if id_property else ID_PROPERTIES
    strong = [key for name in names for key in main if key.startswith(f"{name}:")]
    return strong if strong or id_property else sorted(key for key in keys if not key.startswith("email:"))


def _main_keys_of(fields: dict[str, Any]) -> set[str]:
    """The keys that nobody else has: a further e-mail address may be shared."""
    return keys_of({name: fields.get(name) for name in ID_PROPERTIES})


def upsert(rows: list[Row], *, mode: str = "upsert", id_property: str | None = None, dry_run: bool = False) -> None:
    """Keep each row that has no errors yet, and write down its outcome: created, updated, unchanged or faulty."""
    for row in rows:
        if id_property and not row.errors and not row.fields.get(id_property):
            row.refuse(**{id_property: ["Is needed to find this customer again."]})
    pending = [row for row in rows if not row.errors]
    marks: set[str] = set()
    first: list[Row] = []
    again: list[Row] = []
    for row in pending:
        row.marks = row.marks or marks_of(row.fields, id_property)
        # Who stands here again must find what the row before has made, of which a dry run makes nothing.
        (again if marks.intersection(row.marks) and not dry_run else first).append(row)
        marks.update(row.marks)
    if not dry_run:
        _hold(pending)
    matches = _matches(pending, locked=not dry_run)
    _keep_all(first, matches, mode, dry_run)
    for row in again:
        _keep_all([row], _matches([row], locked=True), mode, dry_run)


def _hold(rows: list[Row]) -> None:
    """Take the values that the rows bring, before anything is written.

    Of two batches with the same values the second waits here, and not at a unique index with half of its rows written.
    """
    if rows:
        db.hold("customer values", {key for row in rows for key in (*row.marks, *_main_keys_of(row.fields))})


def _keep_all(rows: list[Row], matches: dict[int, Customer], mode: str, dry_run: bool) -> None:
    """All go to the database at once; when it refuses one of them, one by one."""
    try:
        with db.session.begin_nested():
            for row in rows:
                _keep(row, matches.get(row.number), mode, dry_run)
            db.session.flush()
    except IntegrityError as error:
        if len(rows) == 1:
            problem = from_database(error)
            rows[0].refuse(**dict(problem.errors or {"row": [problem.message]} if problem else {}))
            return
        for row in rows:
            if not row.errors:
                _keep_all([row], _matches([row], locked=not dry_run), mode, dry_run)


def _matches(rows: list[Row], *, locked: bool) -> dict[int, Customer]:
    """The active customer that each row means, if any; locked in the order in which everybody locks customers."""
    marks = {key for row in rows for key in row.marks}
    query = (
        select(CustomerKey.key, Customer)
        .join(Customer, (Customer.tenant_id == CustomerKey.tenant_id) & (Customer.id == CustomerKey.record_id))
        .where(CustomerKey.key.in_(marks), Customer.is_active)
        .order_by(Customer.id)
        .execution_options(populate_existing=True)
    )
    pairs = db.session.execute(query.with_for_update(of=Customer) if locked else query)
    by_key: dict[str, Customer] = {}
    for key, customer in pairs:  # of several with one key the one whose main value it is, else the oldest is meant
        if key not in by_key or key in _main_keys_of({name: getattr(customer, name) for name in ID_PROPERTIES}):
            by_key[key] = customer
    return {row.number: by_key[key] for row in rows for key in reversed(row.marks) if key in by_key}


def _keep(row: Row, customer: Customer | None, mode: str, dry_run: bool) -> None:
    if customer is None:
        _create(row, mode, dry_run)
        return
    row.customer_id = customer.id
    if mode == "insert":
        row.refuse(row=["This customer exists already."])
        return
    fields = _columns_of(row.fields, customer.addresses)
    if fields.get("email") in customer.emails and "emails" not in fields:
        del fields["email"]  # known as a further address, as after a merge: the first one stays
    changed = bool(differences(customer, fields)) if dry_run else change(customer, "updated", fields)
    row.outcome = "updated" if changed else "unchanged"


def _create(row: Row, mode: str, dry_run: bool) -> None:
    if mode == "update_only":
        row.refuse(row=["There is no such customer, and none was to be created."])
        return
    if not row.fields.get("name"):
        row.refuse(name=["Missing data for required field."])
        return
    row.outcome = "created"
    if not dry_run:
        row.customer_id = clock.new_id()
        db.session.add(Customer(id=row.customer_id, **_columns_of(row.fields, [])))


def _columns_of(fields: dict[str, Any], addresses: list[Any]) -> dict[str, Any]:
    """The fields as columns. `address`, all that a row of a file has room for, is the first one; the others stay."""
    first = fields.get("address")
    if first is None:
        return dict(fields)
    others = [one for one in addresses[1:] if one != first]
    return {name: value for name, value in fields.items() if name != "address"} | {"addresses": [first, *others]}
