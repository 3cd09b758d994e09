"""A transaction begins with its first statement, and no connection comes back from a failure in the middle of one."""

import os
from collections.abc import Iterator
from typing import Any

import psycopg2
import pytest
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.exc import DBAPIError, InternalError, OperationalError

from kit.connections import normalise
from kit.driver import IDLE, fused


@pytest.fixture
def engine(platform: Any) -> Iterator[Engine]:
    """One connection to the database of customer, as its application."""
    engine = create_engine(
        fused(normalise(os.environ["CUSTOMER_SERVICE_DATABASE_URL"])), pool_size=1, max_overflow=0, pool_pre_ping=True
    )
    yield engine
    engine.dispose()


def pooled(engine: Engine) -> Any:
    """The connection that lies in the pool."""
    with engine.connect() as connection:
        return connection.connection.dbapi_connection


def begin(connection: Any, setting: str) -> None:
    opening = f"BEGIN; SELECT set_config('app.tenant_id', '{setting}', true);"
    connection.connection.begin(opening.encode())


SEEN = text("SELECT current_setting('app.tenant_id', true)")


def test_the_settings_of_a_transaction_hold_for_its_first_statement_and_end_with_it(engine: Engine) -> None:
    with engine.connect() as connection:
        connection.begin()
        begin(connection, "mine")
        assert connection.scalar(SEEN) == "mine"
        assert connection.scalar(SEEN) == "mine"
        connection.commit()
        assert not connection.scalar(SEEN)


@pytest.mark.parametrize("wrong", ["SELECT 1 / 0", "SELEKT", "SELECT no_such_column", "SELECT ':"])
def test_a_failed_first_statement_gives_back_a_connection_in_no_transaction(engine: Engine, wrong: str) -> None:
    raw = pooled(engine)
    with pytest.raises(DBAPIError), engine.connect() as connection:
        connection.begin()
        begin(connection, "mine")
        connection.exec_driver_sql(wrong)
    assert raw.get_transaction_status() == IDLE
    with engine.connect() as connection:
        assert connection.connection.dbapi_connection is raw
        assert not connection.scalar(SEEN)


@pytest.mark.parametrize("wrong", ["SELEKT", "SELECT %(missing)s"])
def test_a_statement_that_never_began_leaves_the_beginning_to_the_next(engine: Engine, wrong: str) -> None:
    with engine.connect() as connection:
        cursor = connection.connection.cursor()
        begin(connection, "mine")
        with pytest.raises((psycopg2.Error, KeyError)):
            cursor.execute(wrong, {})
        cursor.execute("SELECT current_setting('app.tenant_id', true)")
        assert cursor.fetchone() == ("mine",)
        cursor.execute("SELECT 1 WHERE now() = statement_timestamp()")
        assert cursor.fetchone() is None  # the second message of one transaction


def test_executing_many_begins_the_transaction_too(engine: Engine) -> None:
    with engine.connect() as connection:
        begin(connection, "mine")
        connection.connection.cursor().executemany("SELECT set_config('app.user_id', %s, true)", [("a",), ("b",)])
        assert connection.exec_driver_sql("SELECT current_setting('app.user_id')").scalar() == "b"
        assert connection.scalar(SEEN) == "mine"


def test_a_large_result_comes_in_portions_within_the_transaction(engine: Engine) -> None:
    with engine.connect() as connection:
        connection.begin()
        begin(connection, "mine")
        numbers = connection.execution_options(yield_per=700).execute(
            text("SELECT n, current_setting('app.tenant_id', true) FROM generate_series(1, 2500) AS n")
        )
        assert list(numbers) == [(n, "mine") for n in range(1, 2501)]


def test_committing_an_aborted_transaction_is_an_error(engine: Engine) -> None:
    with pytest.raises(InternalError, match="ROLLBACK"), engine.connect() as connection:
        with pytest.raises(DBAPIError):
            connection.exec_driver_sql("SELECT 1 / 0")
        connection.commit()
    assert pooled(engine).get_transaction_status() == IDLE


def test_what_waits_is_sent_before_the_next_statement_or_the_commit_and_not_after_a_rollback(engine: Engine) -> None:
    word = "SELECT current_setting('app.user_id', true)"
    with engine.connect() as connection:
        connection.begin()
        raw = connection.connection
        raw.later(b"SELECT set_config('app.user_id', 'one', false)")
        assert connection.exec_driver_sql(word).scalar() == "one"
        raw.later(b"SELECT set_config('app.user_id', 'two', false)")
        connection.commit()
        connection.exec_driver_sql(word)
        raw.later(b"SELECT set_config('app.user_id', 'three', false)")
        connection.rollback()
        assert connection.exec_driver_sql(word).scalar() == "two"


def test_what_waits_and_fails_makes_the_commit_fail(engine: Engine) -> None:
    with pytest.raises(DBAPIError), engine.connect() as connection:
        connection.exec_driver_sql("SELECT 1")
        connection.connection.later(b"SELECT 1 / 0")
        connection.commit()
    assert pooled(engine).get_transaction_status() == IDLE


def test_what_waits_does_not_stand_in_the_way_of_a_savepoint(engine: Engine) -> None:
    with engine.connect() as connection:
        with pytest.raises(DBAPIError), connection.begin_nested():
            connection.connection.later(b"SELECT 1 / 0")
            connection.exec_driver_sql("SELECT 1")
        assert connection.exec_driver_sql("SELECT 2").scalar() == 2


def test_a_connection_that_the_server_closed_is_replaced_without_a_refusal(engine: Engine) -> None:
    raw = pooled(engine)
    with psycopg2.connect(os.environ["CUSTOMER_SERVICE_DATABASE_URL"]) as other, other.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s, 10000)", (raw.info.backend_pid,))
        assert cursor.fetchone() == (True,)
    with engine.connect() as connection:
        assert connection.connection.dbapi_connection is not raw
        assert connection.exec_driver_sql("SELECT 1").scalar() == 1


def test_a_connection_that_breaks_in_a_transaction_is_an_error_and_is_not_used_again(engine: Engine) -> None:
    with pytest.raises(OperationalError), engine.connect() as connection:
        connection.exec_driver_sql("SELECT 1")
        connection.exec_driver_sql("SELECT pg_terminate_backend(pg_backend_pid())")
    with engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT 1").scalar() == 1
