"""The public table: which operations exist, which service answers them, and which need no token.

A service knows its bare nouns (`/customers`). The public address is a prefix before them: `/api` for the world, and
the service's own name as an alias (`/customer/customers`). What is not in this table does not exist outside.
"""

import re
from dataclasses import dataclass, field

OPEN, OPTIONAL = "open", "optional"

# The whole path, byte for byte: unreserved characters of RFC 3986 only. Free text belongs into the query or the body,
# so there is nothing to decode, and route and upstream cannot disagree about what a path means.
PATH = re.compile(r"(?:/[A-Za-z0-9._~-]+)*/?\Z")
QUERY = re.compile(r"[!\"$-\[\]-~]*\Z")  # printable ASCII without blank, # and backslash


@dataclass(frozen=True, slots=True)
class Door:
    """The public operations of one service, one per line: method, bare path, and a mark when it needs no token:
    `open` when none is looked at, `optional` when one that was sent is checked and obeyed.

    `credentials`: this service sees the client's own Authorization header and may set cookies.
    """

    service: str
    prefixes: tuple[str, ...]
    operations: str
    credentials: bool = False


TABLE = (
    Door(
        "auth",
        ("/auth", "/api/auth"),
        """
        POST /register               open
        POST /login                  open
        POST /refresh                open
        POST /validate-token         open
        GET  /.well-known/jwks.json  open
        GET  /me
        POST /logout
        POST /password/change
        POST /switch-tenant
        """,
        credentials=True,
    ),
    Door(
        "tenant",
        ("/api", "/tenant"),
        """
        GET    /tenants
        POST   /tenants
        GET    /tenants/<id>
        PUT    /tenants/<id>
        DELETE /tenants/<id>
        PATCH  /tenants/<id>/activate
        POST   /tenants/<id>/leave
        GET    /tenants/<id>/settings
        PUT    /tenants/<id>/settings
        GET    /tenants/<id>/members
        POST   /tenants/<id>/members
        PUT    /tenants/<id>/members/<id>
        DELETE /tenants/<id>/members/<id>
        GET    /tenants/<id>/offers
        DELETE /tenants/<id>/offers/<id>
        GET    /tenants/offers
        POST   /tenants/offers/<id>/accept
        POST   /tenants/offers/<id>/decline
        """,
    ),
    Door(
        "customer",
        ("/api", "/customer"),
        """
        GET    /customers
        POST   /customers
        GET    /customers/<id>
        PUT    /customers/<id>
        DELETE /customers/<id>
        PATCH  /customers/<id>/activate
        GET    /customers/<id>/history
        GET    /customers/<id>/overview
        GET    /customers/<id>/export
        POST   /customers/<id>/erase
        GET    /customers/<id>/duplicates
        POST   /customers/<id>/merge
        GET    /customers/duplicates
        GET    /customers/tags
        POST   /customers/batch/upsert
        GET    /customers/export.csv
        POST   /customers/import
        GET    /customers/imports
        GET    /customers/imports/<id>
        GET    /customers/imports/<id>/rows
        """,
    ),
    Door(
        "product",
        ("/api", "/product"),
        """
        GET    /products                optional
        POST   /products
        GET    /products/<id>           optional
        PUT    /products/<id>
        DELETE /products/<id>
        PATCH  /products/<id>/activate
        GET    /products/<id>/prices
        GET    /products/categories
        POST   /products/categories
        GET    /products/categories/<id>
        PUT    /products/categories/<id>
        DELETE /products/categories/<id>
        GET    /products/catalogue
        PUT    /products/catalogue
        POST   /products/catalogue/rotate-key
        """,
    ),
    Door(
        "interaction",
        ("/api", "/interaction"),
        """
        GET    /customers/<id>/interactions
        POST   /customers/<id>/interactions
        GET    /customers/<id>/interactions/<id>
        PUT    /customers/<id>/interactions/<id>
        DELETE /customers/<id>/interactions/<id>
        GET    /customers/<id>/timeline
        GET    /customers/<id>/transactions
        POST   /customers/<id>/transactions
        GET    /customers/<id>/transactions/<id>
        POST   /customers/<id>/transactions/<id>/settle
        POST   /customers/<id>/transactions/<id>/reverse
        GET    /customers/<id>/balance
        GET    /customers/<id>/statement
        GET    /customers/<id>/statement.csv
        GET    /interactions
        GET    /transactions
        GET    /transactions/summary
        GET    /interaction-types
        POST   /interaction-types
        GET    /interaction-types/<id>
        PUT    /interaction-types/<id>
        DELETE /interaction-types/<id>
        PATCH  /interaction-types/<id>/activate
        """,
    ),
)


@dataclass(frozen=True, slots=True)
class Operation:
    """One public operation. `prefix` is taken off the path before it is forwarded."""

    method: str
    path: str
    door: Door
    prefix: str
    mark: str

    @property
    def service(self) -> str:
        return self.door.service

    def wants_token(self, authorization: str | None) -> bool:
        """Whether the Authorization header of a request to it has to be checked."""
        return self.mark == "" or (self.mark == OPTIONAL and authorization is not None)


@dataclass(slots=True)
class Node:
    """One step of a path: what may follow, and what may be done here."""

    steps: dict[str, "Node"] = field(default_factory=dict)
    operations: dict[str, Operation] = field(default_factory=dict)


def operations(table: tuple[Door, ...] = TABLE) -> list[Operation]:
    """Every public operation, under every prefix."""
    found: list[Operation] = []
    for door in table:
        for line in door.operations.strip().splitlines():
            method, path, *marks = line.split()
            found.extend(Operation(method, path, door, prefix, "".join(marks)) for prefix in door.prefixes)
    return found


def build(table: tuple[Door, ...] = TABLE) -> Node:
    """The tree of all public paths. `*` is the step of an id."""
    root = Node()
    for operation in operations(table):
        node = root
        for step in (operation.prefix + operation.path).strip("/").split("/"):
            node = node.steps.setdefault("*" if step == "<id>" else step, Node())
        if operation.method in node.operations:
            raise ValueError(f"{operation.method} {operation.prefix}{operation.path} stands in the table twice")
        node.operations[operation.method] = operation
        if operation.method == "GET":
            node.operations["HEAD"] = operation
    return root


def find(root: Node, path: str) -> Node | None:
    """The node of a path, with or without a trailing slash; None when nothing is there."""
    node: Node | None = root
    for step in path.strip("/").split("/"):
        if node is None:
            return None
        node = node.steps.get(step) or node.steps.get("*")
    return node if node and node.operations else None


def is_clean(path: str, query: str) -> bool:
    """Whether a raw target may be routed at all. Nothing is repaired: what is odd is refused."""
    if not path.startswith("/") or not PATH.match(path) or not QUERY.match(query):
        return False
    return "/." not in path or not any(step in (".", "..") for step in path.split("/"))
