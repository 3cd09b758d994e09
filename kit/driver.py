"""How a service speaks to Postgres: psycopg2, with the transaction's beginning in the message of its first statement.

psycopg2 would spend a round trip on BEGIN alone, and the settings of the transaction a second one. Here it believes
that it is in autocommit mode, and BEGIN, the settings and the first statement travel together (Postgres's simple query
protocol takes several statements in one message). The server's own word decides where a transaction stands, never ours:

* as long as it says that there is none, a statement travels with its beginning, so that none runs outside of one;
* as long as it says that there is one, also an aborted one, ending it sends COMMIT or ROLLBACK; so no connection goes
  back to the pool within a transaction.
"""

import select
from typing import Any
from uuid import UUID, SafeUUID

import orjson
from psycopg2 import InternalError, extensions
from sqlalchemy import make_url
from sqlalchemy.dialects import registry
from sqlalchemy.dialects.postgresql.psycopg2 import PGDialect_psycopg2, PGExecutionContext_psycopg2

NAME = "postgresql.fused"
IDLE = extensions.TRANSACTION_STATUS_IDLE
ABORTED = extensions.TRANSACTION_STATUS_INERROR
STREAMED = 1000  # rows at a time


class Connection(extensions.connection):
    """A connection whose transaction begins with its first statement."""

    opening = b""
    waiting = b""

    def begin(self, opening: bytes = b"BEGIN;") -> None:
        """Let the next statement begin a transaction. `opening` is SQL: BEGIN, and what else has to come first."""
        self.opening, self.waiting = opening, b""

    def later(self, statement: bytes) -> None:
        """Send a statement with the next one, or with COMMIT, of whose span it is a part. For what has no result and
        cannot be refused for a reason that a client could be told."""
        self.waiting += statement + b";"

    def commit(self) -> None:
        """End the transaction, if it has begun. Raises InternalError when Postgres rolled back instead."""
        self._end("COMMIT", self.opening + self.waiting if self.waiting else b"")

    def rollback(self) -> None:
        """Undo the transaction, if it has begun."""
        self._end("ROLLBACK")

    def _end(self, word: str, before: bytes = b"") -> None:
        self.opening = self.waiting = b""
        if not before and not self.closed and self.get_transaction_status() == IDLE:
            return
        with self.cursor(cursor_factory=extensions.cursor) as cursor:
            cursor.execute(before + word.encode())
            if cursor.statusmessage != word:  # COMMIT of an aborted transaction is no error to Postgres
                raise InternalError(f"{word} was answered by {cursor.statusmessage}.")

    def is_usable(self) -> bool:
        """Whether nothing speaks against this idle connection: a server that went away has said so, or hung up."""
        waiting = select.poll()
        waiting.register(self.fileno(), select.POLLIN)
        return not waiting.poll(0) and self.get_transaction_status() == IDLE


class Cursor(extensions.cursor):
    """A cursor that sends what the transaction begins with together with its first statement."""

    connection: Connection

    def execute(self, statement: Any, parameters: Any = None) -> None:
        """Run a statement in the transaction, which it begins if it is the first."""
        before = self._before()
        if not before:
            super().execute(statement, parameters)
            return
        message = before + self.mogrify(statement, parameters)
        try:
            super().execute(message)
        finally:
            self._sent()

    def executemany(self, statement: Any, parameters: Any) -> None:
        """Run a statement many times; psycopg2 does so without our `execute`."""
        self._open()
        super().executemany(statement, parameters)

    def callproc(self, name: Any, parameters: Any = None) -> Any:
        """Call a function."""
        self._open()
        return super().callproc(name, parameters)

    def copy_expert(self, *args: Any, **options: Any) -> None:
        """Run COPY."""
        self._open()
        super().copy_expert(*args, **options)

    def _open(self) -> None:
        if before := self._before():
            try:
                super().execute(before)
            finally:
                self._sent()

    def _before(self) -> bytes:
        connection = self.connection
        if connection.waiting and connection.get_transaction_status() == ABORTED:
            connection.waiting = b""  # in the way of a ROLLBACK TO, which is all that can follow
        return connection.opening + connection.waiting

    def _sent(self) -> None:
        # A message that Postgres cannot even parse begins nothing: then the next one has to begin it.
        if self.connection.closed or self.connection.get_transaction_status() != IDLE:
            self.connection.opening = self.connection.waiting = b""


class Stream(Cursor):
    """A cursor that fetches rows as they are asked for. psycopg2's own demands that psycopg2 began the transaction."""

    @property
    def _fetch(self) -> bytes:
        return b"FETCH FORWARD %d FROM stream_%d" % (STREAMED, id(self))

    def execute(self, statement: Any, parameters: Any = None) -> None:
        """Begin to stream a query."""
        declared = b"DECLARE stream_%d NO SCROLL CURSOR FOR " % id(self)
        super().execute(declared + self.mogrify(statement, parameters) + b";" + self._fetch)

    def fetchmany(self, size: int | None = None) -> list[Any]:
        """The next rows; none when there are no more."""
        if not (rows := super().fetchmany(size or self.arraysize)):
            super().execute(self._fetch)
            rows = super().fetchmany(size or self.arraysize)
        return list(rows)

    def fetchall(self) -> list[Any]:
        """All rows that are left."""
        rows: list[Any] = []
        while more := self.fetchmany(STREAMED):
            rows += more
        return rows


def _uuid(text: str | None, cursor: Any) -> UUID | None:
    # What UUID() does for any kind of argument, for the only form in which Postgres writes one: three times as fast.
    if text is None:
        return None
    made = object.__new__(UUID)
    _set_int(made, int(text.replace("-", ""), 16))
    _set_safety(made, SafeUUID.unknown)
    return made


def _jsonb(text: str | None, cursor: Any) -> Any:
    return None if text is None else orjson.loads(text)


_members: Any = vars(UUID)
_set_int, _set_safety = _members["int"].__set__, _members["is_safe"].__set__
_UUID = extensions.new_type((2950,), "UUID", _uuid)
_JSONB = extensions.new_type((3802,), "JSONB", _jsonb)


class Context(PGExecutionContext_psycopg2):
    """How SQLAlchemy runs one statement here."""

    def create_server_side_cursor(self) -> Any:
        """A cursor for a result that is too large to be had at once."""
        return self._dbapi_connection.cursor(cursor_factory=Stream)


class Dialect(PGDialect_psycopg2):
    """SQLAlchemy's dialect for psycopg2, on these connections."""

    driver = "fused"
    supports_statement_cache = True
    execution_ctx_cls = Context

    def connect(self, *args: Any, **options: Any) -> Any:
        """A new connection."""
        connection = super().connect(*args, connection_factory=Connection, cursor_factory=Cursor, **options)
        connection.autocommit = True
        return connection

    def on_connect(self) -> Any:
        """What prepares a new connection."""
        usual = super().on_connect()

        def prepare(connection: Any) -> None:
            usual(connection)
            for kind in (_UUID, _JSONB):
                extensions.register_type(kind, connection)

        return prepare

    def do_begin(self, dbapi_connection: Any) -> None:
        """Begin with the next statement."""
        dbapi_connection.begin()

    def do_ping(self, dbapi_connection: Any) -> bool:
        """Whether a connection of the pool can be used, without asking the server: that would be a round trip."""
        return bool(dbapi_connection.is_usable())


registry.register(NAME, __name__, "Dialect")


def fused(url: str) -> str:
    """The URL of a database, to be spoken to in this way."""
    return make_url(url).set(drivername=NAME.replace(".", "+")).render_as_string(hide_password=False)
