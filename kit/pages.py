"""Lists in pages: numbered ones with a total, and deep ones by cursor (keyset), from one ordered query."""

import base64
import binascii
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

import orjson
from sqlalchemy import ColumnElement, Select, and_, func, or_, select, text
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.expression import ClauseElement, Executable

from kit.db import Database
from kit.errors import ValidationError

PER_PAGE = 20
MAX_PER_PAGE = 100
MAX_PAGE = 1_000_000
EXACT_TOTAL = 10_000
ESTIMATED = "estimated"  # the execution option of a query that probably finds more than anybody counts


@dataclass(frozen=True, slots=True)
class Page:
    """A page of rows. `total` is exact up to EXACT_TOTAL; beyond it is the planner's estimate.

    A search for one word that more than EXACT_TOTAL words begin with counts as beyond, unless the planner denies it.
    """

    items: Sequence[Any]
    total: int
    total_exact: bool
    page: int
    per_page: int
    next_cursor: str | None

    @property
    def pages(self) -> int:
        return math.ceil(self.total / self.per_page)


@dataclass(frozen=True, slots=True)
class Order:
    """A column to sort by. It must never be NULL, or rows would fall between two pages."""

    name: str
    column: Any
    descending: bool


class Explain(Executable, ClauseElement):
    """The planner's view of a query, as JSON."""

    inherit_cache = False

    def __init__(self, query: Select[Any]) -> None:
        self.query = query


@compiles(Explain)
def _compile_explain(element: Explain, compiler: Any, **options: Any) -> str:
    return f"EXPLAIN (FORMAT JSON) {compiler.process(element.query, **options)}"


def paginate(
    db: Database,
    query: Select[Any],
    sortable: Mapping[str, Any],
    *,
    page: int = 1,
    per_page: int = PER_PAGE,
    cursor: str | None = None,
    sort: str | None = None,
) -> Page:
    """A page of `query`. `sortable` names the columns a client may sort by; its last one must be unique.

    Raises ValidationError for an unknown sort or a cursor of another list.
    """
    orders = parse_sort(sort, sortable)
    ordered = query.order_by(*(o.column.desc() if o.descending else o.column.asc() for o in orders))
    if cursor:
        ordered = ordered.where(_after(orders, _decode(cursor, orders)))
    elif page > 1:
        ordered = ordered.offset((page - 1) * per_page)
    ordered = ordered.limit(per_page + 1)
    counts = not query.get_execution_options().get(ESTIMATED)
    # The total comes with each row rather than by itself: a round trip less.
    found = db.read(ordered.add_columns(_counted(query).scalar_subquery()) if counts else ordered)
    total, exact = _total(db, query, found[0][-1]) if counts and found else count(db, query)
    rows = [row[0] for row in found] if len(query.column_descriptions) == 1 else found
    items, more = rows[:per_page], len(rows) > per_page
    following = _encode(items[-1], orders) if more else None
    return Page(items, total, exact, page, per_page, following)


def parse_sort(sort: str | None, sortable: Mapping[str, Any]) -> list[Order]:
    """The order that `-created_at,name` asks for, made total by the last (unique) sortable column."""
    unique = list(sortable)[-1]
    words = [word.strip() for word in (sort or next(iter(sortable))).split(",") if word.strip()]
    orders = [Order(word.lstrip("-"), sortable.get(word.lstrip("-")), word.startswith("-")) for word in words]
    if unknown := [order.name for order in orders if order.column is None]:
        raise ValidationError(
            errors={"sort": [f"Cannot sort by {', '.join(unknown)}; choose from {', '.join(sortable)}."]}
        )
    if unique not in [order.name for order in orders]:
        orders.append(Order(unique, sortable[unique], orders[-1].descending if orders else False))
    return orders


def count(db: Database, query: Select[Any]) -> tuple[int, bool]:
    """How many rows there are, and whether that is exact: counting stops where nobody counts any more."""
    if query.get_execution_options().get(ESTIMATED) and (estimate := _estimate(db, query)) > EXACT_TOTAL:
        return estimate, False
    return _total(db, query, db.session.scalar(_counted(query)) or 0)


def _counted(query: Select[Any]) -> Select[Any]:
    return select(func.count()).select_from(_bare(query).limit(EXACT_TOTAL + 1).subquery())


def _bare(query: Select[Any]) -> Select[Any]:
    return query.order_by(None).with_only_columns(text("1"), maintain_column_froms=True)


def _total(db: Database, query: Select[Any], counted: int) -> tuple[int, bool]:
    if counted <= EXACT_TOTAL:
        return counted, True
    return max(_estimate(db, query), EXACT_TOTAL + 1), False


def _estimate(db: Database, query: Select[Any]) -> int:
    plan: Any = db.session.connection().execute(Explain(_bare(query))).scalar()
    return int(plan[0]["Plan"]["Plan Rows"])


def _after(orders: Sequence[Order], values: Sequence[Any]) -> ColumnElement[bool]:
    # (a, b) > (x, y) written out, because the columns may run in different directions.
    alternatives = []
    for index, (order, value) in enumerate(zip(orders, values, strict=True)):
        equal = [o.column == v for o, v in zip(orders[:index], values[:index], strict=True)]
        beyond = order.column < value if order.descending else order.column > value
        alternatives.append(and_(*equal, beyond))
    return or_(*alternatives)


def _encode(row: Any, orders: Sequence[Order]) -> str:
    keys = [("-" if order.descending else "") + order.name for order in orders]
    values = [getattr(row, order.name) for order in orders]
    return base64.urlsafe_b64encode(orjson.dumps([keys, values], default=str)).decode().rstrip("=")


def _decode(cursor: str, orders: Sequence[Order]) -> list[Any]:
    wrong = ValidationError(errors={"cursor": ["Use the next_cursor of a list with the same sort."]})
    try:
        keys, values = orjson.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        if keys != [("-" if order.descending else "") + order.name for order in orders]:
            raise wrong
        return [_value(order, value) for order, value in zip(orders, values, strict=True)]
    except (binascii.Error, OverflowError, TypeError, ValueError) as error:
        raise wrong from error


def _value(order: Order, value: Any) -> Any:
    wanted = order.column.type.python_type
    if type(value) is not (int if wanted is int else str) or (isinstance(value, str) and "\x00" in value):
        raise ValueError(value)
    if wanted is datetime:
        return datetime.fromisoformat(str(value)).astimezone(UTC)
    return date.fromisoformat(str(value)) if wanted is date else wanted(value)
