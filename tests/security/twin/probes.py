"""Each fence asked by itself, with the other one out of the way: for every table, and for what no table shows."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any
from uuid import UUID

from flask import g
from sqlalchemy import select, text

from kit import identity
from kit.identity import GATEWAY, Identity
from scripts.collection_files.plan import operations
from tests.api import Api
from tests.security import catalogue
from tests.security.twin.attacks import SAFE, attacks, base_of, judge
from tests.security.twin.fields import service_of
from tests.security.twin.rows import fingerprints, of, unfenced
from tests.security.twin.world import DENIED, KEY, World
from tests.services.helpers import app_of, internal_token


@contextmanager
def acting(service: str, world: World) -> Iterator[Any]:
    """The database of a service as a request of this tenant's owner would see it."""
    app = app_of(service)
    with app.app_context():
        g.identity = Identity(GATEWAY, UUID(world.variables["ownerId"]), UUID(world.variables["tenantId"]))
        try:
            yield app.db
        finally:
            app.db.session.remove()


def orm_alone(service: str, ours: World, theirs: World) -> Iterator[str]:
    """Rows of theirs that the ORM shows us where Postgres hides nothing."""
    with unfenced(service) as connection, acting(service, ours) as db:
        db.session.registry().get_bind = lambda *args, **kwargs: connection
        for cls in catalogue.mapped(service):
            if getattr(cls, "__fence__", ()):
                shown = db.session.execute(of(theirs, select(cls), cls.__table__)).all()
                yield from [f"the ORM shows rows of {cls.__tablename__}"] if shown else []


def postgres_alone(service: str, ours: World, theirs: World) -> Iterator[str]:
    """Rows of theirs that Postgres shows us where the ORM adds nothing."""
    with acting(service, ours) as db:
        for cls in catalogue.mapped(service):
            if getattr(cls, "__fence__", ()):
                shown = db.session.connection().execute(of(theirs, select(cls.__table__), cls.__table__)).all()
                yield from [f"Postgres shows rows of {cls.__tablename__}"] if shown else []


def lint(service: str, ours: World, theirs: World) -> Iterator[str]:
    """What the catalogue says."""
    with catalogue.asked(service) as asked:
        for rule in catalogue.RULES:
            yield from rule(asked)


def setting_ends(service: str, ours: World, theirs: World) -> Iterator[str]:
    """A setting that is still there when its transaction is over."""
    with acting(service, theirs) as db, db.engine.connect() as connection:
        with connection.begin():
            db._begin(db.session(), SimpleNamespace(nested=False), connection)
            connection.execute(text("SELECT 1"))  # what is set travels with a statement
        left = connection.execute(text("SELECT current_setting('app.tenant_id', true)")).scalar()
        yield from [f"the setting {left} outlived its transaction"] if left else []


def headers_agree(service: str, ours: World, theirs: World) -> Iterator[str]:
    """A service that takes a header which differs from the token."""
    for name, value in (("X-Tenant-Id", theirs.variables["tenantId"]), ("X-User-Id", theirs.variables["ownerId"])):
        headers = {identity.HEADER: internal_token(ours.owner), name: value}
        for rule in app_of(service).url_map.iter_rules():
            access = getattr(app_of(service).view_functions[rule.endpoint], "access", None)
            if "GET" in rule.methods and not rule.arguments and access and access.kind == "person":
                status = Api(app_of(service)).get(rule.rule, headers=headers).status
                yield from [f"{rule.rule} answers {status} to another {name}"] if status < DENIED else []


def ours_stays(service: str, ours: World, theirs: World) -> Iterator[str]:
    """What is our own and is not answered any more; a key that is not remembered."""
    for name, operation in operations(ours.document).items():
        if name not in ours.sent or service_of(operation) != service:
            continue
        if operation.method in SAFE:
            status = base_of(operation, ours).to(ours.platform, ours.variables["accessToken"]).status
            yield from [f"{name} answers {status} to its owner"] if status >= DENIED else []
        elif KEY in ours.sent[name].headers:
            again = ours.again(operation)
            yield from [] if "Idempotency-Replayed" in dict(again.headers) else [f"{name} forgets a key"]


def guest_is_one(service: str, ours: World, theirs: World) -> Iterator[str]:
    """What somebody who works for both sees of theirs with a token for ours."""
    there, here = ours.guest
    there.get("/api/customers/")
    seen = str(here.get("/api/customers/").json)
    yield from ["a token for ours shows theirs"] if theirs.canary in seen else []


def reaching(service: str, ours: World, theirs: World) -> Iterator[str]:
    """What the attacks of the twin worlds find, through the gateway; reading first, and no further than the first."""
    before = fingerprints(theirs)
    for attack in attacks(ours, theirs):
        if service_of(attack.operation) == service:
            for value in attack.values[:1]:
                finding = judge(attack, value, lambda sent: sent.to(ours.platform, ours.owner.token), "owner", theirs)
                if finding:
                    yield f"{finding.attack}: {finding.what}"
                    return
    yield from (f"{name} changed" for name, mark in fingerprints(theirs).items() if mark != before[name])


Probe = Callable[[str, World, World], Iterator[str]]
PROBES: tuple[Probe, ...] = (lint, orm_alone, postgres_alone, setting_ends, headers_agree, guest_is_one, ours_stays)
