"""Fences taken away, one at a time or two together, and put back: what the suite has to notice."""

import base64
import json
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any
from unittest import mock
from uuid import UUID

from sqlalchemy import literal

from alicerce.services import services
from kit import db as kit_db
from kit import driver, idempotency, identity
from kit.db import Database
from tests.security.twin.rows import committed
from tests.security.twin.world import World
from tests.services.helpers import app_of


@dataclass(frozen=True)
class Mutation:
    """A way to make a service, or all of them, weaker: `layers` fences at once."""

    name: str
    service: str
    fences: tuple[Any, ...]

    @property
    def layers(self) -> int:
        return len(self.fences)

    @contextmanager
    def applied(self, world: World, platform: Any) -> Iterator[None]:
        """The fences are down inside."""
        with ExitStack() as stack:
            for fence in self.fences:
                stack.enter_context(fence(world, platform))
            yield


def mutations() -> list[Mutation]:
    """Every fence alone, and with the one that stands behind it; of each service and of each of its tables."""
    found = [
        Mutation("cache of tokens by person", "customer", (_tokens_by_person,)),
        Mutation("no comparison of headers and claims", "customer", (_any_headers,)),
    ]
    for service in services():
        tables = {cls.__tablename__: cls for cls in _fenced(service)}
        every = tuple(tables)
        found += _each(service, "all tables", every)
        for table in tables:
            found += _each(service, table, (table,))
        kept, early = _of_session(service), _early(service)
        found.append(Mutation(f"{service}: settings of the session", service, (kept,)))
        found.append(
            Mutation(f"{service}: settings of the session, no criteria", service, (kept, _no_criteria(service, every)))
        )
        found.append(Mutation(f"{service}: criteria bound early", service, (early,)))
        found.append(
            Mutation(f"{service}: criteria bound early, no policies", service, (early, _no_policies(service, every)))
        )
        if "replay" in tables:
            fences = (_keys_of_all, _no_policies(service, ("replay",)), _no_criteria(service, ("replay",)))
            found.append(Mutation(f"{service}: keys without tenant", service, (_keys_of_all,)))
            found.append(Mutation(f"{service}: keys without tenant, and nothing behind", service, fences))
    return found


def _each(service: str, what: str, tables: tuple[str, ...]) -> list[Mutation]:
    policies, criteria = _no_policies(service, tables), _no_criteria(service, tables)
    return [
        Mutation(f"{service}: policy of {what}", service, (policies,)),
        Mutation(f"{service}: criterion of {what}", service, (criteria,)),
        Mutation(f"{service}: policy and criterion of {what}", service, (policies, criteria)),
    ]


def _fenced(service: str) -> list[Any]:
    classes = [mapper.class_ for mapper in app_of(service).db.Model.registry.mappers]
    return [cls for cls in classes if getattr(cls, "__fence__", ())]


def _no_policies(service: str, tables: tuple[str, ...]) -> Any:
    @contextmanager
    def down(world: World, platform: Any) -> Iterator[None]:
        committed(service, *(f'ALTER TABLE "{table}" DISABLE ROW LEVEL SECURITY' for table in tables))
        try:
            yield
        finally:
            committed(service, *(f'ALTER TABLE "{table}" ENABLE ROW LEVEL SECURITY' for table in tables))

    return down


def _no_criteria(service: str, tables: tuple[str, ...]) -> Any:
    def down(world: World, platform: Any) -> AbstractContextManager[Any]:
        db = app_of(service).db
        kept = [one for one in db._criteria() if one.entity.class_.__tablename__ not in tables]
        return mock.patch.multiple(db, _fences=kept, _statements={})

    return down


def _of_session(service: str) -> Any:
    @contextmanager
    def down(world: World, platform: Any) -> Iterator[None]:
        begin = driver.Connection.begin

        def kept(connection: driver.Connection, opening: bytes = b"BEGIN;") -> None:
            is_meant = connection.info.dbname == f"{service}_db"
            begin(connection, opening.replace(b", true)", b", false)") if is_meant else opening)

        app = app_of(service)
        with app.app_context():
            engine = app.db.engine
        try:
            with mock.patch.object(driver.Connection, "begin", kept):
                yield
        finally:
            engine.dispose()  # what was set stays in the connections

    return down


def _early(service: str) -> Any:
    """The values of whoever came first, kept in the statement for all."""

    @contextmanager
    def down(world: World, platform: Any) -> Iterator[None]:
        db: Database = app_of(service).db
        first = identity.Identity("gateway", UUID(world.variables["ownerId"]), UUID(world.variables["tenantId"]))
        with (
            mock.patch.object(kit_db, "current", first),
            mock.patch.object(kit_db, "_late", lambda value, kind: literal(value(), kind)),
            mock.patch.object(db, "_fences", None),
            app_of(service).app_context(),
        ):
            early = db._criteria()
        with mock.patch.multiple(db, _fences=early, _statements={}):
            yield

    return down


def _keys_of_all(world: World, platform: Any) -> AbstractContextManager[Any]:
    """A key is looked up where the other tenant's are."""
    everybody = identity.Identity("gateway", UUID(int=0), UUID(world.variables["tenantId"]))
    return mock.patch.object(idempotency, "current", everybody)


def _any_headers(world: World, platform: Any) -> AbstractContextManager[Any]:
    def trusting(headers: Any, *, bearer: bool = False) -> identity.Identity:
        return strict({key: value for key, value in headers.items() if not key.startswith("X-")}, bearer=bearer)

    strict = identity.identify
    return mock.patch.object(identity, "identify", trusting)


class _ByPerson(dict[str, Any]):
    """What was found out about one token of a person, for all of them."""

    def get(self, token: str, default: Any = None) -> Any:
        return super().get(_subject(token), default)

    def __setitem__(self, token: str, principal: Any) -> None:
        super().__setitem__(_subject(token), principal)


def _subject(token: str) -> str:
    part = token.split(".")[1]
    return str(json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))["sub"])


def _tokens_by_person(world: World, platform: Any) -> AbstractContextManager[Any]:
    return mock.patch.object(platform.proxy.authenticator, "_known", _ByPerson())
