"""The nouns of product."""

from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, Computed, ForeignKeyConstraint, Index, Text, text
from sqlalchemy.orm import Mapped, mapped_column, relationship, synonym

from kit.db import Database, Entry, Record, Stamped, TenantOwned, one_of, unique_among_active
from kit.idempotency import replay_table
from kit.lifecycle import Retirable
from kit.money import to_decimal
from kit.search import word_table

db = Database()

BUNDLE, SUBSCRIPTION = "bundle", "subscription"
KINDS = ("good", "service", BUNDLE, SUBSCRIPTION)
PERIODS = ("day", "week", "month", "year")


class Category(db.Model, TenantOwned, Record):
    """A place in the tenant's tree of products. No place is its own ancestor: moves wait for each other."""

    __table_args__ = (
        ForeignKeyConstraint(["tenant_id", "parent_id"], ["category.tenant_id", "category.id"]),
        # The root is a parent like others here, although its id is NULL.
        Index("uq_category_name", "tenant_id", "parent_id", "name", unique=True, postgresql_nulls_not_distinct=True),
        Index("ix_category_name", "tenant_id", "name", "id"),
        Index("ix_category_created_at", "tenant_id", "created_at", "id"),
    )

    name: Mapped[str] = mapped_column(Text(collation="C"))
    parent_id: Mapped[UUID | None]

    parent: Mapped["Category | None"] = relationship(
        primaryjoin="and_(Category.tenant_id == remote(Category.tenant_id), Category.parent_id == remote(Category.id))",
        foreign_keys="[Category.tenant_id, Category.parent_id]",
        viewonly=True,
    )

    @property
    def path(self) -> list[str]:
        """The names from the root down to this one."""
        return [*(self.parent.path if self.parent else ()), self.name]


class Product(db.Model, TenantOwned, Record, Retirable):
    """Something that a tenant sells. Without a price it can be shown, and not yet be sold."""

    __table_args__ = (
        one_of("kind", KINDS),
        one_of("billing_period", PERIODS),
        unique_among_active("product", "sku"),
        unique_among_active("product", "external_id"),
        # Named after the field that clashes, though it is the canonical form that is compared.
        Index("uq_product_gtin", "tenant_id", "gtin14", unique=True, postgresql_where=text("is_active")),
        ForeignKeyConstraint(["tenant_id", "category_id"], ["category.tenant_id", "category.id"]),
        Index("ix_product_created_at", "tenant_id", "created_at", "id"),
        Index("ix_product_updated_at", "tenant_id", "updated_at", "id"),
        Index("ix_product_name", "tenant_id", "name", "id"),
        Index("ix_product_category_id", "tenant_id", "category_id"),
        Index("ix_product_price_amount", "tenant_id", "price_amount"),
    )

    kind: Mapped[str]
    # C collation, so that the database and a cursor agree on what comes next, on every server.
    name: Mapped[str] = mapped_column(Text(collation="C"))
    description: Mapped[str | None]
    sku: Mapped[str | None]
    gtin: Mapped[str | None]
    # A GTIN of 8, 12 or 13 digits is the one of 14 with zeros before it (GS1 General Specifications, 7.9).
    gtin14: Mapped[str | None] = mapped_column(Computed("lpad(gtin, 14, '0')", persisted=True))
    unit: Mapped[str] = mapped_column(default="un")
    price_amount: Mapped[int | None] = mapped_column(BigInteger)
    currency: Mapped[str]
    category_id: Mapped[UUID | None]
    tags: Mapped[list[str]] = mapped_column(default=list)
    attributes: Mapped[dict[str, Any]] = mapped_column(default=dict)
    external_id: Mapped[str | None]
    ncm: Mapped[str | None]
    cest: Mapped[str | None]
    origin: Mapped[int | None]
    cfop: Mapped[str | None]
    tax_class: Mapped[str | None]
    tax_rate_bps: Mapped[int | None]
    billing_period: Mapped[str | None]
    billing_count: Mapped[int | None]

    parts: Mapped[list["Component"]] = relationship(
        primaryjoin="and_(Product.tenant_id == Component.tenant_id, Product.id == Component.bundle_id)",
        foreign_keys="[Component.tenant_id, Component.bundle_id]",
        order_by="Component.position",
        cascade="all, delete-orphan",
        passive_deletes=True,
    )

    @property
    def components(self) -> list["Component"]:
        """What a bundle holds; only bundles are asked, which saves the others a query."""
        return self.parts if self.kind == BUNDLE else []

    @property
    def price(self) -> str | None:
        """The price in major units: "34.12"."""
        return None if self.price_amount is None else to_decimal(self.price_amount, self.currency)

    @property
    def ncm_formatted(self) -> str | None:
        """The NCM code as it is printed: 8471.30.12."""
        return self.ncm and f"{self.ncm[:4]}.{self.ncm[4:6]}.{self.ncm[6:]}"

    def searchable(self) -> tuple[str | None, ...]:
        """The texts whose words find this product: what visitors may see, so that they find by nothing else."""
        return (self.name, self.sku, self.gtin, *self.tags)


class Component(db.Model, TenantOwned):
    """So many of a product in a bundle. A product cannot be removed for good while it is in one."""

    __table_args__ = (
        ForeignKeyConstraint(["tenant_id", "bundle_id"], ["product.tenant_id", "product.id"], ondelete="CASCADE"),
        ForeignKeyConstraint(["tenant_id", "product_id"], ["product.tenant_id", "product.id"]),
        Index("ix_component_product_id", "tenant_id", "product_id"),
    )

    bundle_id: Mapped[UUID] = mapped_column(primary_key=True)
    product_id: Mapped[UUID] = mapped_column(primary_key=True)
    quantity: Mapped[int]
    position: Mapped[int]


class Price(db.Model, TenantOwned, Entry):
    """What a product has cost since `created_at`, in minor units; without an amount it had no price from then on."""

    __table_args__ = (
        ForeignKeyConstraint(["tenant_id", "product_id"], ["product.tenant_id", "product.id"], ondelete="CASCADE"),
        Index("ix_price_product_id", "tenant_id", "product_id", "created_at", "id"),
    )

    product_id: Mapped[UUID]
    price_amount: Mapped[int | None] = mapped_column(BigInteger)
    currency: Mapped[str]

    @property
    def price(self) -> str | None:
        """The price in major units: "34.12"."""
        return None if self.price_amount is None else to_decimal(self.price_amount, self.currency)


class PublishableKey(db.Model):
    """The way from a key to a tenant. The only rows of product without a fence:

    they must be readable before any tenant is known, and hold nothing but what a tenant prints into its web pages.
    """

    __table_args__ = (Index("uq_publishable_key_tenant_id", "tenant_id", unique=True),)

    key: Mapped[str] = mapped_column(primary_key=True)
    tenant_id: Mapped[UUID]


class Catalogue(db.Model, TenantOwned, Stamped):
    """Whether visitors may see the products of a tenant. A tenant that was never asked has no row."""

    id = synonym("tenant_id")
    is_public: Mapped[bool] = mapped_column(default=False)

    key: Mapped[PublishableKey | None] = relationship(
        primaryjoin="Catalogue.tenant_id == PublishableKey.tenant_id",
        foreign_keys="PublishableKey.tenant_id",
    )

    @property
    def publishable_key(self) -> str | None:
        """What names the tenant in a visitor's request."""
        return self.key.key if self.key else None


ProductWord = word_table(db, Product)
Replay = replay_table(db)
