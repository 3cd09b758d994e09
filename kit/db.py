"""The database of one service: its own metadata, its own transaction per request, and the fence around rows.

A row is fenced twice, each fence sufficient alone: the ORM adds a criterion to every statement about a fenced
class, and Postgres row-level security (written by `kit.migrations.fences`) checks the same settings again.
"""

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from typing import Any, ClassVar, TypeVar, cast
from uuid import UUID

from flask import current_app, g, has_request_context, request
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import (
    ARRAY,
    Boolean,
    CheckConstraint,
    Connection,
    Engine,
    Index,
    MetaData,
    Select,
    Text,
    Uuid,
    bindparam,
    column,
    event,
    func,
    or_,
    select,
    text,
)
from sqlalchemy import cast as cast_sql
from sqlalchemy.dialects.postgresql import JSONB, TIMESTAMP
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import (
    DeclarativeBase,
    Mapped,
    declared_attr,
    mapped_column,
    registry,
    with_loader_criteria,
)

from kit import clock, deadline, locks, logs, preconditions, rows, sessions
from kit.connections import opening, standing
from kit.errors import NotFound
from kit.identity import current

NAMES = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}
TYPES: dict[Any, Any] = {
    str: Text,
    UUID: Uuid,
    datetime: TIMESTAMP(timezone=True),
    dict[str, Any]: JSONB,
    list[str]: JSONB,
    list[dict[str, Any]]: JSONB,
}

T = TypeVar("T")


class Stamped:
    """When a row was made and last changed, and how often: `version` is its ETag."""

    created_at: Mapped[datetime] = mapped_column(default=clock.now, sort_order=90)
    updated_at: Mapped[datetime] = mapped_column(default=clock.now, onupdate=clock.now, sort_order=91)
    version: Mapped[int] = mapped_column(sort_order=92)

    @declared_attr.directive
    def __mapper_args__(cls) -> dict[str, Any]:  # noqa: N805 - called with the class
        return {"version_id_col": cls.version}


class Record(Stamped):
    """A row with an id of its own, a UUIDv7 that clients never choose."""

    id: Mapped[UUID] = mapped_column(primary_key=True, default=clock.new_id, sort_order=-10)


class Entry:
    """A row that is added and never changed: of a ledger, a history, a log (`append_only` in its revision)."""

    id: Mapped[UUID] = mapped_column(primary_key=True, default=clock.new_id, sort_order=-10)
    created_at: Mapped[datetime] = mapped_column(default=clock.now, sort_order=90)
    created_by: Mapped[UUID | None] = mapped_column(default=lambda: current.user_id, sort_order=91)


class TenantOwned:
    """A row that only its tenant sees."""

    __fence__: ClassVar[tuple[str, ...]] = ("tenant",)
    tenant_id: Mapped[UUID] = mapped_column(primary_key=True, default=lambda: current.tenant_id, sort_order=-20)


class UserOwned:
    """A row that only its person sees, in whichever tenant."""

    __fence__: ClassVar[tuple[str, ...]] = ("user",)
    user_id: Mapped[UUID] = mapped_column(primary_key=True, sort_order=-20)


def one_of(column: str, values: tuple[str, ...]) -> CheckConstraint:
    """A column that holds one of a few words: a text with a check, because comparing enums is not leakproof."""
    return CheckConstraint(f"{column} IN ({', '.join(repr(value) for value in values)})", name=column)


def unique_among_active(table: str, column: str) -> Index:
    """A column that is unique per tenant; partial, so that a deactivated row does not block its value for a new one."""
    return Index(f"uq_{table}_{column}", "tenant_id", column, unique=True, postgresql_where=text("is_active"))


def rows_of(**columns: tuple[Any, Sequence[Any]]) -> Any:
    """Many values as a table inside a statement, column by column: three arrays travel faster than a thousand rows."""
    arrays = [cast_sql(list(values), ARRAY(kind, dimensions=1)) for kind, values in columns.values()]
    names = [column(name, kind) for name, (kind, _) in columns.items()]
    return func.unnest(*arrays).table_valued(*names, name="new_rows").render_derived()


@contextmanager
def apart(service: str, engine: Engine, mode: str = "") -> Iterator[Connection]:
    """Begin a transaction that is no session's. Without its settings it would find no table, and wait without end."""
    waits = {"statement_timeout": deadline.remaining_ms(), "lock_timeout": locks.patience_ms()}
    with engine.begin() as connection:
        cast(Any, connection.connection).begin(opening(standing(service) | waits, mode))
        yield connection


class Database(SQLAlchemy):
    """One service's tables and sessions. Two services may both have an `Entry`, in one process."""

    Model: Any  # the declarative base of this database alone
    replays: Any = None  # the table of `kit.idempotency`, where a service has one
    outbox: Any = None  # the table of `kit.outbox`, likewise

    def __init__(self) -> None:
        names = registry(metadata=MetaData(naming_convention=NAMES), type_annotation_map=TYPES)
        super().__init__(model_class=type("Model", (DeclarativeBase,), {"registry": names}))
        self._standing: dict[str, str] = {}
        self._fences: list[Any] | None = None
        self._statements: dict[Any, Any] = {}
        event.listen(self.session, "after_begin", self._begin)
        event.listen(self.session, "do_orm_execute", self._fence)

    def _make_scoped_session(self, options: dict[str, Any]) -> Any:
        scoped = super()._make_scoped_session(options)
        scoped.registry = cast(Any, sessions.Sessions(scoped.session_factory))
        return scoped

    def _teardown_session(self, error: BaseException | None) -> None:
        # In place of Flask-SQLAlchemy's own, which raises when the connection is dead, and then clears nothing.
        self.discard()

    def discard(self) -> None:
        """End the session of the present context and what it did not commit. Never raises.

        The next use of `session` makes a new one. A connection that cannot be rolled back is closed.
        """
        session = sessions.present().pop(sessions.NAME, None)
        if session is None:
            return
        connection = session.info.pop("connection", None)
        try:
            session.close()
        except Exception as error:
            logs.logger(current_app.name).warning("a connection was lost: %s", type(error).__name__)
            with suppress(Exception):
                connection.invalidate()

    def init_app(self, app: Any) -> None:
        """Prepare a service's app."""
        self._standing = standing(app.name)
        super().init_app(app)

    def find(self, model: type[T], id: UUID, missing: type[NotFound]) -> T:
        """The row of this id that the identity may see; a request that reads can only show it. Raises `missing`."""
        show = rows.shower(cast(Any, model)) if _is_reading() else None
        if show is None:
            row = self.session.scalar(self._finding(model), {"id": id})
        else:
            values = self.session.connection().execute(self._compiled(model), {"id": id}).first()
            row = None if values is None else show(values)
        if row is None:
            raise missing
        return cast(T, row)

    def read(self, query: Select[Any]) -> Sequence[Any]:
        """The rows of a query. A whole model among their columns comes as in `find`."""
        first, *others = query.column_descriptions
        is_plain = _is_model(first) and not any(map(_is_model, others)) and not query._with_options
        show = rows.shower(first["entity"]) if is_plain and _is_reading() else None
        if show is None:
            return self.session.execute(query).all()
        found = self.session.connection().execute(self._fenced(query)).all()
        return [(show(row), *row[-len(others) :]) if others else (show(row),) for row in found]

    def lock(self, model: type[T], id: UUID, missing: type[NotFound]) -> T:
        """The same, locked until the transaction ends, after checking what the client says it last saw."""

        def make() -> Any:
            return self._finding(model).with_for_update().execution_options(populate_existing=True)

        row = self.session.scalar(self._once(("locking", model), make), {"id": id})
        if row is None:
            raise missing
        preconditions.check(row)
        return cast(T, row)

    def _finding(self, model: Any) -> Any:
        def make() -> Any:
            return self._fenced(select(model).where(model.id == bindparam("id", type_=Uuid())))

        return self._once(("finding", model), make)

    def _compiled(self, model: Any) -> Any:
        # SQLAlchemy would look it up among all statements, and compare its parameters with those it was compiled with.
        return self._once(("compiled", model), lambda: self._finding(model).compile(dialect=self.engine.dialect))

    def _once(self, key: Any, make: Callable[[], Any]) -> Any:
        # A statement with its fence is made once for each model: that takes longer than Postgres does to answer it.
        if key not in self._statements:
            self._statements[key] = make()
        return self._statements[key]

    def act_for(self, user_id: UUID) -> None:
        """From here on this transaction sees the rows of this person, who has just proved to be it."""
        self.session.info["user_id"] = user_id
        self.session.execute(select(_set("app.user_id", str(user_id))))

    def act_in(self, tenant_id: UUID) -> None:
        """From here on this request sees the rows of this tenant, which something other than a person's token named."""
        g.identity = dataclasses.replace(g.identity, tenant_id=tenant_id)
        self.session.execute(select(_set("app.tenant_id", str(tenant_id))))

    @contextmanager
    def every_tenant(self) -> Iterator[None]:
        """Look across tenants, at classes whose fence says `everywhere`. Each use needs a reason beside it."""
        self._look_everywhere(True)
        try:
            yield
        except BaseException:
            with suppress(SQLAlchemyError):  # a transaction that failed takes the setting with it
                self._look_everywhere(False)
            raise
        self._look_everywhere(False)

    def _look_everywhere(self, is_on: bool) -> None:
        self.session.info["everywhere"] = is_on
        self.session.execute(select(_set("app.everywhere", "on" if is_on else "")))

    def hold(self, kind: str, keys: Iterable[str] = ("",)) -> None:
        """Let no other transaction of this tenant that holds one of these keys go on before this one ends.

        For what is not one row: rows that are still to be made, or several that must not change one by one. Everybody
        takes the keys in the same order, before any row.
        """
        self.session.execute(locks.taking(current.tenant_id, kind, keys))

    def pause(self) -> None:
        """Give the connection back before something that takes long and needs none, or that begins a transaction of its
        own. Only before the first write; what was read has to be read again."""
        self.session.rollback()

    @contextmanager
    def apart(self) -> Iterator[Connection]:
        """Begin a transaction apart from the session's, which is committed at the end though the request may fail."""
        with apart(current_app.name, self.engine) as connection:
            yield connection

    def after_commit(self, action: Callable[[], None]) -> None:
        """Do this once the transaction has been committed. It must be repeatable: a crash may swallow it."""
        self.session.info.setdefault("after_commit", []).append(action)

    def _begin(self, session: Any, transaction: Any, connection: Any) -> None:
        # What a transaction must know travels with its first statement. `true` makes each setting end with the
        # transaction, so that a pooled connection can never carry one tenant into the next request. Ids and numbers
        # need no quoting.
        if transaction.nested:
            return  # a savepoint is inside of a transaction that has begun
        try:
            sessions.check(session)
        except sessions.ForeignSession:
            connection.invalidate()  # or a second statement would pass
            raise
        session.info["connection"] = connection
        user_id = session.info.get("user_id") or current.user_id
        settings = {
            **self._standing,
            "app.tenant_id": current.tenant_id or "",
            "app.user_id": user_id or "",
            "app.everywhere": "on" if session.info.get("everywhere") else "",
            "statement_timeout": deadline.remaining_ms(),
            "lock_timeout": locks.patience_ms(),
        }
        connection.connection.begin(opening(settings, "READ ONLY" if _is_reading() else ""))

    def _fence(self, state: Any) -> None:
        is_ready = any(state.statement is made for made in tuple(self._statements.values()))
        if state.is_orm_statement and not state.is_insert and not is_ready:
            state.statement = self._fenced(state.statement)

    def _fenced(self, statement: Any) -> Any:
        return statement.options(*self._criteria())

    def _criteria(self) -> list[Any]:
        if self._fences is None:
            classes = (mapper.class_ for mapper in self.Model.registry.mappers)
            self._fences = [
                with_loader_criteria(cls, self._visible(cls), include_aliases=True)
                for cls in classes
                if getattr(cls, "__fence__", ())
            ]
        return self._fences

    def _visible(self, cls: Any) -> Any:
        # The values are bound late, by callables, so that the criterion itself is a constant that SQLAlchemy's
        # statement cache can keep for every tenant.
        info = self.session
        conditions = {
            "tenant": lambda: cls.tenant_id == _late(lambda: current.tenant_id, Uuid()),
            "user": lambda: cls.user_id == _late(lambda: info.info.get("user_id") or current.user_id, Uuid()),
            "everywhere": lambda: _late(lambda: bool(info.info.get("everywhere")), Boolean()),
        }
        return or_(*(conditions[word]() for word in cls.__fence__ if word in conditions))  # `job` is a role, not a verb


def _is_reading() -> bool:
    return has_request_context() and request.method in ("GET", "HEAD")


def _is_model(column: Any) -> bool:
    return column.get("entity") is not None and column["expr"] is column["entity"]


def _late(value: Callable[[], Any], type_: Any) -> Any:
    return bindparam(None, callable_=value, type_=type_, unique=True)


def _set(name: str, value: str) -> Any:
    return func.set_config(name, value, True)
