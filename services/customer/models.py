"""The nouns of customer."""

from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import Index, Text
from sqlalchemy.orm import Mapped, mapped_column

from kit.db import Database, Record, TenantOwned, one_of, unique_among_active
from kit.idempotency import replay_table
from kit.lifecycle import Retirable
from kit.search import word_table

db = Database()

TYPES = ("person", "company")
STAGES = ("lead", "prospect", "customer", "former")
DOCUMENT_TYPES = ("cpf", "cnpj", "other")


class Customer(db.Model, TenantOwned, Record, Retirable):
    """A person or a company that a tenant does business with."""

    __table_args__ = (
        one_of("type", TYPES),
        one_of("lifecycle_stage", STAGES),
        one_of("document_type", DOCUMENT_TYPES),
        unique_among_active("customer", "email"),
        unique_among_active("customer", "document"),
        unique_among_active("customer", "external_id"),
        Index("ix_customer_created_at", "tenant_id", "created_at", "id"),
        Index("ix_customer_updated_at", "tenant_id", "updated_at", "id"),
        Index("ix_customer_name", "tenant_id", "name", "id"),
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


CustomerWord = word_table(db, Customer)
Replay = replay_table(db)
