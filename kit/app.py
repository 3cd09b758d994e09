"""The factory: what every service is, before it has any business."""

import logging
import os
import time
from collections.abc import Iterable, Iterator
from contextlib import closing
from functools import partial
from typing import Any

from apispec.ext.marshmallow import MarshmallowPlugin
from flask import Flask, Response, g, request
from flask_smorest import Api
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from werkzeug.exceptions import HTTPException

from kit import (
    background,
    config,
    deadline,
    documents,
    errors,
    idempotency,
    identity,
    lanes,
    logs,
    metrics,
    outbox,
    prometheus,
    remote,
    repeats,
    telemetry,
    trace,
)
from kit.background import Queue
from kit.blueprint import Blueprint, dumps
from kit.config import VERSION
from kit.connections import engine_options, url_of
from kit.database_errors import OutcomeUnknown, from_database
from kit.db import Database
from kit.driver import fused
from kit.errors import Problem, Unavailable
from kit.fairness import Turn
from kit.identity import current
from kit.transport import MAX_BODY_BYTES, Parts
from kit.waiting import SUSPEND, Suspend, yielding

POWERFUL = """
    SELECT rolsuper OR rolbypassrls
        OR EXISTS (SELECT FROM pg_class WHERE relowner = pg_roles.oid AND relkind IN ('r', 'p'))
    FROM pg_roles WHERE rolname = current_user
"""
BARE = ("/health", "/live", "/ready", "/openapi.json", "/metrics", *documents.ENDPOINTS)


class PowerfulRole(Unavailable):
    """The service's database role may bypass row-level security. Give it one that owns no table and is no superuser."""


class Answer(Response):
    """An answer that stands although its end fails."""

    def close(self) -> None:
        try:
            super().close()
        except Exception as error:
            logging.getLogger(logs.ROOT).warning("an answer was not closed: %s", error)


class Service(Flask):
    """A Flask app in which one request is one transaction and carries one verified identity."""

    says_when_it_waits = True  # to kit.worker
    db: Database
    lanes: lanes.Lanes
    queues: tuple[Queue, ...] = ()
    response_class = Answer

    def wsgi_app(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        """Answer a request once it has its place. A server that cannot suspend requests bounds them by its threads."""
        suspend: Suspend | None = environ.get(SUSPEND)
        turn = self.lanes.ask(environ) if suspend else None
        if suspend is None or turn is None:
            yielding()
            return self._answer(environ, start_response)
        return self._in_turn(turn, suspend, environ, start_response)

    def _in_turn(self, turn: Turn, suspend: Suspend, environ: dict[str, Any], start_response: Any) -> Iterator[bytes]:
        try:
            if not turn.is_granted:
                yield from lanes.queue(turn, suspend, self.lanes.queue_s(turn))
                if not turn.is_granted:
                    environ[lanes.REFUSAL] = lanes.refusal(turn)
            yielding()
            with closing(Parts(self._answer(environ, start_response))) as body:
                if environ.get(lanes.IS_WHOLE):  # how fast its client reads is nobody else's concern
                    turn.leave()
                yield from body
        finally:
            turn.leave()

    def ensure_sync(self, func: Any) -> Any:
        """No view of ours is a coroutine; Flask would look at each function again for each request."""
        return func

    def dispatch_request(self) -> Any:
        self._open()
        here = _itself(g)
        before = dict(here.__dict__)

        def undo() -> bool:
            """Forget the transaction and all that the view left, unless something else was told of it."""
            self.db.discard()
            is_private: bool = here.get("commands") == before.get("commands")
            here.__dict__.clear()
            here.__dict__.update(before)
            _rewind(_itself(request))
            return is_private

        response = repeats.until_won(self.name, self._transact, undo)
        for action in self.db.session.info.pop("after_commit", []):
            self._afterwards(action)
        return response

    def process_response(self, response: Response) -> Response:
        """Finish an answer, and note what the request's place is charged for and when it is free again."""
        here = _itself(g)
        response = super().process_response(response)
        response.headers[lanes.HELD] = str(int((time.perf_counter() - here.started) * 1000))
        _itself(request).environ[lanes.IS_WHOLE] = not response.is_streamed
        return response

    def _transact(self) -> Any:
        """Run the view and commit, or commit what a durable refusal leaves."""
        try:
            response = idempotency.once(self.db, super().dispatch_request)
        except Problem as problem:
            if problem.durable:
                self._commit()
            raise
        self._commit()
        return response

    def _commit(self) -> None:
        self.db.session.flush()  # which may fail without a doubt of what became of it
        try:
            self.db.session.commit()
        except DBAPIError as error:
            if error.connection_invalidated and _itself(request).method not in ("GET", "HEAD"):
                raise OutcomeUnknown from error
            raise

    def handle_exception(self, error: Exception) -> Response:
        """Answer what failed after the view as what fails in it."""
        return self.finalize_request(self.handle_user_exception(error), from_error_handler=True)

    def _answer(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        """Answer a request. When its end fails, after the answer was made, the failure is the answer."""
        heads: list[Any] = []
        begin: Any = lambda *head: heads.append(head)  # noqa: E731
        try:
            body = super().wsgi_app(environ, begin)
        except Exception as error:
            with self.app_context():
                g.request_id = trace.request_id(environ.get("HTTP_X_REQUEST_ID"))
                return failure(self.name, error)(environ, start_response)
        start_response(*heads[-1])
        return body

    def _open(self) -> None:
        """Admit the identity before the body is read, whatever the order of a view's decorators."""
        asked = _itself(request)
        headers = asked.headers
        deadline.start(headers.get(deadline.HEADER))
        if lanes.REFUSAL in asked.environ:
            raise asked.environ[lanes.REFUSAL]
        if asked.routing_exception is not None or asked.endpoint in BARE:
            return
        view: Any = self.view_functions[asked.endpoint or ""]
        access: identity.Access = view.access
        who = identity.identify(headers, bearer=access.bearer)
        if not who.caller and "Authorization" in headers and remote.is_on(self.name):
            who = identity.agreeing(remote.identify(headers["Authorization"]), headers)
        g.identity = who
        identity.admit(who, access)

    def _afterwards(self, action: Any) -> None:
        """A transaction of its own after the request's; when it fails, the answer stands all the same."""
        try:
            action()
            self.db.session.commit()
        except Exception as error:
            self.db.discard()
            logs.logger(self.name).warning("left for later: %s", error, exc_info=not isinstance(error, Problem))


class ServiceApi(Api):
    """flask-smorest's document without its error handlers: there is one shape of error, ours."""

    def _register_error_handlers(self) -> None:
        pass


def create_service(
    name: str, *, port: int, db: Database, blueprints: Iterable[Blueprint], queues: Iterable[Queue] = ()
) -> Service:
    """A service: its database, its routes, its queues of work, and everything that all services share.

    `port` is where it listens when it runs alone; everything else is told by the environment.
    """
    config.check(name)
    app = Service(name, static_folder=None)
    app.url_map.merge_slashes = False  # or Flask would answer `//` with a redirect of its own
    app.db = db
    app.config.update(
        SQLALCHEMY_DATABASE_URI=fused(url_of(name)),
        SQLALCHEMY_ENGINE_OPTIONS=engine_options(name),
        MAX_CONTENT_LENGTH=MAX_BODY_BYTES,
        PROVIDE_AUTOMATIC_OPTIONS=False,
        PORT=port,
        API_TITLE=f"Alicerce {name}",
        API_VERSION=VERSION,
        OPENAPI_VERSION="3.1.0",
    )
    db.init_app(app)
    prepare_requests(app)
    handle_errors(app)
    _bare_routes(app)
    api = ServiceApi(app, spec_kwargs={"marshmallow_plugin": MarshmallowPlugin(_schema_name)})
    for blueprint in blueprints:
        api.register_blueprint(blueprint)
    app.add_url_rule("/openapi.json", "/openapi.json", lambda: json_answer(api.spec.to_dict()))
    _check_access(app)
    app.lanes = lanes.Lanes(_operations(app), BARE, is_public=remote.is_on(name))
    app.queues = (*queues, outbox.queue(db)) if db.outbox else tuple(queues)
    if app.queues:
        background.register(app)
    if os.environ.get("FLASK_RUN_FROM_CLI") == "true":
        # Only there, because Alembic would cost every server process memory that it never uses.
        from kit.migrations import attach

        attach(app, db)
    return app


def _schema_name(schema: Any) -> str:
    cls = type(schema) if not isinstance(schema, type) else schema
    service = cls.__module__.split(".")[1] if cls.__module__.startswith("services.") else "kit"
    suffix = "Changes" if getattr(schema, "partial", False) else ""
    return f"{service}.{cls.__name__}{suffix}"


def prepare_requests(app: Flask) -> None:
    """Give an app what all share: logs, ids, and a line and a count for each request."""
    logs.configure(app.name)
    telemetry.start(app.name)

    @app.before_request
    def begin() -> None:
        asked, here = _itself(request), _itself(g)
        headers = asked.headers
        here.started = time.perf_counter()
        here.component = app.name
        here.request_id = trace.request_id(headers.get(trace.REQUEST_ID))
        caller = trace.received(headers.get("traceparent"), headers.get("tracestate"))
        is_bare = asked.endpoint in BARE  # probes ask without end, and nobody wants to see it
        if not is_bare:
            metrics.active(app.name).inc()
        here.hop = trace.below(caller) if is_bare else telemetry.serve(app.name, caller, asked.method, asked.path)

    @app.after_request
    def finish(response: Response) -> Response:
        asked, here, status = _itself(request), _itself(g), response.status_code
        response.headers[trace.REQUEST_ID] = here.request_id
        response.headers.setdefault("Cache-Control", "no-store")
        route = asked.url_rule.rule if asked.url_rule else ""
        seconds = time.perf_counter() - here.started
        is_bare = asked.endpoint in BARE
        if not is_bare:
            metrics.active(app.name).dec()
            metrics.observe(app.name, asked.method, route, status, seconds)
        telemetry.answered(here.hop, status, route, here.get("error_type", ""))
        level = logging.DEBUG if is_bare else logging.INFO
        if (logger := logs.logger(app.name, logs.API)).isEnabledFor(level):
            _log(logger, level, asked.method, route, status, seconds)
        return response


def _rewind(asked: Any) -> None:
    """Let the files of a form be read again; all else of a body is kept as it came."""
    files = asked.__dict__.get("files")  # where they were read already
    for _, file in files.items(multi=True) if files else ():
        file.seek(0)


def _itself(proxy: Any) -> Any:
    """What one of Flask's proxies stands for: finding it out costs more than all that is asked of it."""
    return proxy._get_current_object()


def _log(logger: logging.Logger, level: int, method: str, route: str, status: int, seconds: float) -> None:
    who = _itself(current)
    fields = {
        "method": method,
        "route": route or None,
        "status": status,
        "ms": round(seconds * 1000, 1),
        "tenant_id": who.tenant_id,
        "user_id": who.user_id,
        "caller": who.caller,
    }
    logger.log(level, "request", extra={"fields": fields})


def handle_errors(app: Flask) -> None:
    """Make every error of an app a problem document."""

    def http(error: HTTPException) -> Response:
        problem = refusal(errors.from_status(error.code or 500))
        problem.headers.extend((k, v) for k, v in error.get_headers() if k == "Allow")
        return problem

    app.register_error_handler(Problem, refusal)
    app.register_error_handler(HTTPException, http)
    app.register_error_handler(Exception, partial(failure, app.name))


def refusal(problem: Problem) -> Response:
    """Return the answer that a problem is."""
    body = errors.render(problem, trace.current_request_id())
    response = Response(body, problem.status, content_type=errors.CONTENT_TYPE)
    response.headers.update(problem.headers)
    return response


def failure(service: str, error: Exception) -> Response:
    """Return the answer to an error that no verb raises: a refusal of the database, or a defect, which is logged."""
    if problem := from_database(error):
        return refusal(problem)
    g.error_type = type(error).__qualname__
    logs.logger(service).error("unexpected: %s", type(error).__name__, exc_info=error)
    return refusal(Problem(code="internal_error"))


def _bare_routes(app: Service) -> None:
    def ready() -> Response:
        try:
            with app.db.apart() as connection:
                powerful = connection.scalar(text(POWERFUL))
        except SQLAlchemyError:
            raise Unavailable("The database cannot be reached.", code="database_unavailable") from None
        if powerful:
            logs.logger(app.name).warning("not ready: %s", PowerfulRole.__doc__)
            raise PowerfulRole
        return json_answer({"status": "ready", "service": app.name})

    def live() -> Response:
        return json_answer({"status": "alive", "service": app.name})

    def health() -> Response:
        ready()
        body = {"status": "healthy", "service": app.name, "version": VERSION}
        if remote.is_on(app.name):
            body |= {"auth": remote.health(), "auth_url": remote.url()}
        return json_answer(body)

    def figures() -> Response:
        return prometheus.answer()

    for rule, view in (("/live", live), ("/ready", ready), ("/health", health), ("/metrics", figures)):
        app.add_url_rule(rule, rule, view)
    documents.attach(app, f"Alicerce {app.name}")


def json_answer(body: Any) -> Response:
    return Response(dumps(body), content_type="application/json")


def _operations(app: Flask) -> Iterator[tuple[str, str, Any]]:
    for rule in app.url_map.iter_rules():
        for method in rule.methods or ():
            yield method, rule.rule, app.view_functions[rule.endpoint]


def _check_access(app: Service) -> None:
    undeclared = [
        str(rule)
        for rule in app.url_map.iter_rules()
        if rule.endpoint not in BARE and not hasattr(app.view_functions[rule.endpoint], "access")
    ]
    if undeclared:
        raise config.ConfigurationError(
            f"{app.name}: say who may call {', '.join(undeclared)}: @requires, @public or @internal."
        )
