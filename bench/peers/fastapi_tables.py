"""The tables of the FastAPI peer, and what is written with a customer."""

import os
import re
import time
import unicodedata
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ForeignKey, Text
from sqlalchemy.dialects.postgresql import JSONB, TIMESTAMP
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    """The tables that services/customer migrates."""

    type_annotation_map = {  # noqa: RUF012 - as the base class declares it
        str: Text,
        datetime: TIMESTAMP(timezone=True),
        list[str]: JSONB,
        list[dict[str, Any]]: JSONB,
        dict[str, Any]: JSONB,
    }


def now() -> datetime:
    """The present moment in UTC."""
    return datetime.now(UTC)


def new_id() -> UUID:
    """A UUIDv7."""
    value = int.from_bytes((time.time_ns() // 1_000_000).to_bytes(6, "big") + os.urandom(10), "big")
    return UUID(int=(value & ~(0xF << 76) | 0x7 << 76) & ~(0x3 << 62) | 0x2 << 62)


class Customer(Base):
    """A person or a company that a tenant does business with."""

    __tablename__ = "customer"
    tenant_id: Mapped[UUID] = mapped_column(primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    type: Mapped[str] = mapped_column(default="person")
    name: Mapped[str]
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
    is_active: Mapped[bool] = mapped_column(default=True)
    deactivated_at: Mapped[datetime | None]
    deactivated_by: Mapped[UUID | None]
    created_at: Mapped[datetime] = mapped_column(default=now)
    updated_at: Mapped[datetime] = mapped_column(default=now, onupdate=now)
    version: Mapped[int] = mapped_column()
    __mapper_args__ = {"version_id_col": version}  # noqa: RUF012

    @property
    def document_formatted(self) -> str | None:
        """A CPF as 529.982.247-25 and a CNPJ as 12.ABC.345/01DE-35."""
        value = self.document
        if not value or self.document_type == "other":
            return value
        if self.document_type == "cpf":
            return f"{value[:3]}.{value[3:6]}.{value[6:9]}-{value[9:]}"
        return f"{value[:2]}.{value[2:5]}.{value[5:8]}/{value[8:12]}-{value[12:]}"


class CustomerWord(Base):
    """What a customer is found by."""

    __tablename__ = "customer_word"
    tenant_id: Mapped[UUID] = mapped_column(primary_key=True)
    word: Mapped[str] = mapped_column(primary_key=True)
    record_id: Mapped[UUID] = mapped_column(ForeignKey("customer.id"), primary_key=True)


class CustomerKey(Base):
    """What tells that two are one."""

    __tablename__ = "customer_key"
    tenant_id: Mapped[UUID] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    record_id: Mapped[UUID] = mapped_column(ForeignKey("customer.id"), primary_key=True)


def terms(written: str) -> list[str]:
    """Words in lower case without accents; a chunk of digits and signs is one word."""
    decomposed = unicodedata.normalize("NFKD", written.casefold())
    plain = "".join(character for character in decomposed if not unicodedata.combining(character))
    found: list[str] = []
    for chunk in plain.split():
        digits = re.sub(r"\D", "", chunk)
        has_letters = re.search(r"[^\W\d_]", chunk)
        found += [digits] if digits and not has_letters else filter(None, re.split(r"[\W_]+", chunk))
    return [word[:64] for word in found]


def words_of(row: Customer) -> set[str]:
    """The words that find a customer."""
    phones = [phone for phone in (row.phone, *row.phones) if phone]
    local = [phone.removeprefix("+55")[start:] for phone in phones for start in (0, 2, -4)]
    names = (row.name, row.legal_name, row.email, *row.emails, row.document, row.external_id)
    return {word for each in (*names, *phones, *local, *row.tags) if each for word in terms(each)}


def keys_of(row: Customer) -> set[str]:
    """What would be the same for a second record of this customer."""
    name = " ".join(terms(row.name)) or row.name
    keys = {f"email:{email}" for email in (row.email, *row.emails) if email}
    keys |= {f"name+phone:{phone} {name}" for phone in (row.phone, *row.phones) if phone}
    keys |= {f"name+email:{email} {name}" for email in row.emails}
    if row.document:
        keys.add(f"document:{row.document}")
    if row.external_id:
        keys.add(f"external_id:{row.external_id}")
    return {key[:300] for key in keys or {f"name:{name}"}}
