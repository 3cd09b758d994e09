"""The chapters of the public document, in the order in which somebody meets them.

An operation belongs to the chapter with the longest address before it. One that is in none of them gets a chapter named
for its service, at the end.
"""

from dataclasses import dataclass

from gateway.routes import Operation


@dataclass(frozen=True, slots=True)
class Chapter:
    """A title, a sentence, and the addresses of which this tells: public, with `<id>` for ids."""

    title: str
    description: str
    addresses: tuple[str, ...] = ()


CHAPTERS = (
    Chapter("Logging in", "Register, log in, keep a session alive, end it.", ("/auth",)),
    Chapter("Tenants", "The companies that people work in, and how each likes things.", ("/api/tenants",)),
    Chapter(
        "Members",
        "Who works in a tenant and in which role; and memberships that are offered, until the person accepts.",
        ("/api/tenants/<id>/members", "/api/tenants/<id>/offers", "/api/tenants/offers", "/api/tenants/<id>/leave"),
    ),
    Chapter("Customers", "The people and companies that a tenant does business with.", ("/api/customers",)),
    Chapter(
        "Duplicates",
        "The same customer twice: found, and made one.",
        ("/api/customers/duplicates", "/api/customers/<id>/duplicates", "/api/customers/<id>/merge"),
    ),
    Chapter(
        "Import and export",
        "Many customers at once, as JSON or as a CSV file.",
        ("/api/customers/batch", "/api/customers/import", "/api/customers/imports", "/api/customers/export.csv"),
    ),
    Chapter(
        "Privacy",
        "What a person may ask for: everything that is kept, and that it goes.",
        ("/api/customers/<id>/export", "/api/customers/<id>/erase"),
    ),
    Chapter(
        "Interactions",
        "What happened with a customer: calls, visits, notes.",
        ("/api/interactions", "/api/customers/<id>/interactions", "/api/customers/<id>/timeline"),
    ),
    Chapter("Interaction types", "The kinds of things that happen.", ("/api/interaction-types",)),
    Chapter(
        "Money",
        "What was earned and spent, what is owed, and how a balance came about.",
        (
            *("/api/transactions", "/api/customers/<id>/transactions", "/api/customers/<id>/balance"),
            *("/api/customers/<id>/statement", "/api/customers/<id>/statement.csv"),
        ),
    ),
    Chapter("Products", "Goods, services, bundles and subscriptions, with prices and tax codes.", ("/api/products",)),
    Chapter("Categories", "The tree that products stand in.", ("/api/products/categories",)),
    Chapter("Public catalogue", "What visitors see of the products, and their key.", ("/api/products/catalogue",)),
)


def chapter_of(operation: Operation, chapters: tuple[Chapter, ...] = CHAPTERS) -> str:
    """The title of an operation's chapter."""
    address = f"{operation.door.prefixes[0]}{operation.path}/"
    found = [
        (len(start), chapter.title)
        for chapter in chapters
        for start in chapter.addresses
        if address.startswith(f"{start}/")
    ]
    return max(found)[1] if found else operation.service.capitalize()
