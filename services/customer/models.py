"""The nouns of customer."""

from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ForeignKeyConstraint, Index, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from kit import clock
from kit.background import Queued, due_index
from kit.db import Database, Entry, Record, TenantOwned, one_of, unique_among_active
from kit.idempotency import replay_table
from kit.lifecycle import Retirable
from kit.outbox import outbox_table
from kit.search import MAX_KEY, key_table, terms, word_table

db = Database()

TYPES = ("person", "company")
STAGES = ("lead", "prospect", "customer", "former")
DOCUMENT_TYPES = ("cpf", "cnpj", "other")
IMPORT_STATUSES = ("checking", "writing", "checked", "done", "refused")
LIKENESSES = ("email", "document", "name+phone")  # by which two customers may be one
ID_PROPERTIES = ("external_id", "document", "email")  # by which one is found again, the strongest first
MODES = ("upsert", "insert", "update_only")
IDENTIFYING = ("name", "email", "emails", "phone", "phones", "document", "external_id")
OUTCOMES = ("valid", "created", "updated", "unchanged", "faulty")


def keys_of(fields: dict[str, Any]) -> set[str]:
    """What identifies a customer with these fields, as `kind:value`."""
    written = fields.get("name") or ""
    name = " ".join(terms(written)) or written  # a name of nothing but signs is told from others by them
    emails = (fields.get("email"), *fields.get("emails", ()))
    phones = (fields.get("phone"), *fields.get("phones", ()))
    keys = {f"email:{email}" for email in emails if email}
    keys |= {f"name+phone:{phone} {name}" for phone in phones if phone}
    keys |= {f"name+email:{email} {name}" for email in fields.get("emails", ()) if email}  # it may be shared
    if document := fields.get("document"):
        keys.add(f"document:{''.join(filter(str.isalnum, document)).upper()}")
    if external_id := fields.get("external_id"):
        keys.add(f"external_id:{external_id}")
    return {key[:MAX_KEY] for key in keys or {f"name:{name}"}}  # its name, when nothing else tells who this is


class Customer(db.Model, TenantOwned, Record, Retirable):
    """A person or a company that a tenant does business with."""

    __table_args__ = (
        one_of("type", TYPES),
        one_of("lifecycle_stage", STAGES),
        one_of("document_type", DOCUMENT_TYPES),
        unique_among_active("customer", "email"),
        unique_among_active("customer", "document"),
        unique_among_active("customer", "external_id"),
        # Who was merged into somebody is that somebody, and goes with it.
        ForeignKeyConstraint(
            ["tenant_id", "merged_into_id"], ["customer.tenant_id", "customer.id"], ondelete="CASCADE"
        ),
        Index("ix_customer_created_at", "tenant_id", "created_at", "id"),
        Index("ix_customer_updated_at", "tenant_id", "updated_at", "id"),
        Index("ix_customer_name", "tenant_id", "name", "id"),
        Index("ix_customer_merged_into_id", "tenant_id", "merged_into_id"),
    )

    type: Mapped[str] = mapped_column(default="person")
    # C collation, so that the database and a cursor agree on what comes next, on every server.
    name: Mapped[str] = mapped_column(Text(collation="C"))
    legal_name: Mapped[str | None]
    email: Mapped[str | None]
    emails: Mapped[list[str]] = mapped_column(default=list)
    phone: Mapped[str | None]
    phones: Mapped[list[str]] = mapped_column(default=list)
    document_type: Mapped[str | None]
    document: Mapped[str | None]
    birth_date: Mapped[date | None]
    addresses: Mapped[list[dict[str, Any]]] = mapped_column(default=list)
    owner_id: Mapped[UUID | None]
    lifecycle_stage: Mapped[str] = mapped_column(default="lead")
    source: Mapped[str | None]
    tags: Mapped[list[str]] = mapped_column(default=list)
    external_id: Mapped[str | None]
    preferred_language: Mapped[str | None]
    timezone: Mapped[str | None]
    consents: Mapped[dict[str, Any]] = mapped_column(default=dict)
    custom: Mapped[dict[str, Any]] = mapped_column(default=dict)
    notes: Mapped[str | None]
    merged_into_id: Mapped[UUID | None]
    erased_at: Mapped[datetime | None]

    def searchable(self) -> tuple[str | None, ...]:
        """The texts whose words find this customer.

        A phone also without its country and area code, and by its last four digits; a CNPJ with letters also by the
        groups in which it is written.
        """
        phones = [phone for phone in (self.phone, *self.phones) if phone]
        local = [phone.removeprefix("+55")[start:] for phone in phones for start in (0, 2, -4)]
        groups = (self.document or "") if self.document_type == "cnpj" else ""
        written = [groups[:2], groups[2:5], groups[5:8], groups[8:12], groups[12:]] if not groups.isdigit() else []
        names = (self.name, self.legal_name, self.email, *self.emails)
        return (*names, self.document, *written, self.external_id, *phones, *local, *self.tags)

    def identifying(self) -> set[str]:
        """What would be the same for a second record of this customer: e-mail, document, or name and phone."""
        return keys_of({name: getattr(self, name) for name in IDENTIFYING})


class Change(db.Model, TenantOwned, Entry):
    """What was done to a customer, by whom: `{"field": [before, after]}`."""

    __tablename__ = "customer_change"
    __table_args__ = (
        ForeignKeyConstraint(["tenant_id", "customer_id"], ["customer.tenant_id", "customer.id"], ondelete="CASCADE"),
        Index("ix_customer_change_customer_id", "tenant_id", "customer_id", "created_at", "id"),
    )
    customer_id: Mapped[UUID]
    action: Mapped[str]
    changes: Mapped[dict[str, Any]] = mapped_column(default=dict)


class Import(db.Model, Queued):
    """A file of customers on its way in: first every row is checked, then, when none is faulty, all are written."""

    __tablename__ = "customer_import"
    __table_args__ = (
        due_index("customer_import"),
        one_of("status", IMPORT_STATUSES),
        Index("ix_customer_import_created_at", "tenant_id", "created_at", "id"),
    )
    status: Mapped[str] = mapped_column(default="checking")
    is_dry_run: Mapped[bool]
    skips_faulty: Mapped[bool]
    id_property: Mapped[str | None]
    total: Mapped[int]
    position: Mapped[int] = mapped_column(default=0)  # the last row of the present pass that is settled
    created_at: Mapped[datetime] = mapped_column(default=clock.now)
    finished_at: Mapped[datetime | None]


class ImportRow(db.Model, TenantOwned):
    """A row of such a file. `cells` become fields when they are checked, and are forgotten when all is over."""

    __tablename__ = "customer_import_row"
    __table_args__ = (
        ForeignKeyConstraint(
            ["tenant_id", "import_id"], ["customer_import.tenant_id", "customer_import.id"], ondelete="CASCADE"
        ),
        one_of("outcome", OUTCOMES),
        # For an erasure, which forgets what files said of a customer.
        Index(
            "ix_customer_import_row_customer_id",
            "tenant_id",
            "customer_id",
            postgresql_where=text("customer_id IS NOT NULL"),
        ),
    )
    import_id: Mapped[UUID] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    cells: Mapped[dict[str, Any] | None]
    keys: Mapped[list[str]] = mapped_column(default=list)
    outcome: Mapped[str | None]
    customer_id: Mapped[UUID | None]
    errors: Mapped[dict[str, Any]] = mapped_column(default=dict)


CustomerWord = word_table(db, Customer)
CustomerKey = key_table(db, Customer)
Outbox = outbox_table(db)
Replay = replay_table(db)
