"""A view made for a test, in a real service, and ways for its connection to die at a chosen moment."""

import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg2
from flask import Response

from contracts.roles import permissions
from kit import identity
from kit.clock import new_id
from kit.identity import GATEWAY, Identity
from tests.api import Answer, Api
from tests.services.helpers import app_of

SEEN = "SELECT current_setting('app.user_id', true) || ' ' || current_setting('app.tenant_id', true)"


def raw_of(session: Any) -> Any:
    """The driver's connection of a session."""
    return session.connection().connection.dbapi_connection


def engine_of(service: str) -> Any:
    """The engine of a service of this process."""
    app = app_of(service)
    with app.app_context():
        return app.db.engine


def terminated(raw: Any, service: str) -> None:
    """Postgres ends the connection."""
    with psycopg2.connect(os.environ[f"{service.upper()}_SERVICE_DATABASE_URL"]) as other, other.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s, 30000)", (raw.info.backend_pid,))
        assert cursor.fetchone() == (True,)
    other.close()


def cut(raw: Any, service: str) -> None:
    """The network ends the connection."""
    with socket.socket(fileno=os.dup(raw.fileno())) as wire:
        wire.shutdown(socket.SHUT_RDWR)


def closed(raw: Any, service: str) -> None:
    """The driver has found out already."""
    raw.close()


DEATHS: tuple[Callable[[Any, str], None], ...] = (terminated, cut, closed)


@contextmanager
def answering(service: str, work: Callable[[Any], Any], method: str = "POST") -> Iterator[Callable[..., Answer]]:
    """Let a route of a real service run `work(db)`. Yields what asks it, as a person with an id and a tenant."""
    app = app_of(service)
    rule, access = next(
        (rule, app.view_functions[rule.endpoint].access)
        for rule in app.url_map.iter_rules()
        if method in rule.methods
        and not rule.arguments
        and getattr(app.view_functions[rule.endpoint], "access", None)
        and app.view_functions[rule.endpoint].access.kind == "person"
    )

    def view(**_: Any) -> Any:
        made = work(app.db)
        return made if isinstance(made, Response) else Response(str(made))

    view.access = access  # type: ignore[attr-defined]
    before, app.view_functions[rule.endpoint] = app.view_functions[rule.endpoint], view

    def ask(user_id: Any = None, tenant_id: Any = None, data: Any = None, **headers: str) -> Answer:
        who = Identity(GATEWAY, user_id or new_id(), tenant_id or new_id(), permissions=permissions(["owner"]))
        sent = {identity.HEADER: identity.mint(GATEWAY, who), **headers}
        return Api(app.wsgi_app).request(method, rule.rule, headers=sent, data=data)

    try:
        yield ask
    finally:
        app.view_functions[rule.endpoint] = before


def seen(db: Any) -> Any:
    """The person and the tenant as whom Postgres runs this transaction."""
    return db.session.connection().exec_driver_sql(SEEN).scalar()


def others_are_themselves(service: str, count: int) -> list[tuple[str, str]]:
    """Ask as many other people who they are; those who are not themselves, as (asked, answered)."""
    strange = []
    with answering(service, seen) as ask:
        for _ in range(count):
            user_id, tenant_id = new_id(), new_id()
            answer = ask(user_id, tenant_id)
            if (answer.status, answer.json) != (200, f"{user_id} {tenant_id}"):
                strange.append((f"{user_id} {tenant_id}", f"{answer.status} {answer.json}"))
    return strange
