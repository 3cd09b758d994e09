"""The proxying path: a small WSGI callable that the gateway's Flask app consults first.

Rule by rule it follows `docs/decisions/0004-proxy-rules.md`: raw target in, the same bytes out; nothing of the client's
that could be mistaken for ours; one Content-Length; and one log line.
"""

import time
from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Any

from gateway import routes
from gateway.auth import Authenticator
from gateway.exchange import Exchange
from gateway.incoming import check_headers, client_address, passed_on, read_body
from gateway.outgoing import Outgoing, check, first_piece, public_headers
from gateway.upstream import Answer, Headers, Request, Upstream
from gateway.wire import transport_to
from kit import deadline, errors, identity, trace
from kit.errors import BadRequest, Problem


class MalformedTarget(BadRequest):
    """The address holds characters that no address of ours has. Put free text into the query or the body."""


class MethodNotAllowed(Problem):
    """This address does not take this method; see the Allow header."""

    status = 405


class Proxy:
    """Answers what stands in the table of routes; returns None for everything else."""

    def __init__(self, authenticator: Authenticator, table: tuple[routes.Door, ...] = routes.TABLE) -> None:
        self.authenticator = authenticator
        self.root = routes.build(table)
        self.upstreams = {door.service: Upstream(door.service, transport_to(door.service)) for door in table}

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes] | None:
        target = environ.get("RAW_URI") or environ.get("REQUEST_URI") or ""
        path, _, query = target.partition("?")
        exchange = Exchange(
            method=environ["REQUEST_METHOD"],
            path=path,
            started=time.perf_counter(),
            request_id=trace.request_id(environ.get("HTTP_X_REQUEST_ID")),
            client=client_address(environ),
        )
        try:
            if not routes.is_clean(path, query):
                raise MalformedTarget
            check_headers(environ)
            node = routes.find(self.root, path)
            if node is None:
                return None
            answer = self._forward(exchange, node, environ, target)
            return _answer(exchange, answer, start_response)
        except Problem as problem:
            return _refuse(exchange, problem, start_response)

    def _forward(self, exchange: Exchange, node: routes.Node, environ: dict[str, Any], target: str) -> Answer:
        operation = node.operations.get(exchange.method)
        if operation is None:
            exchange.extra["allow"] = ", ".join(sorted(node.operations))
            raise MethodNotAllowed
        exchange.operation = operation
        authorization = environ.get("HTTP_AUTHORIZATION")
        if operation.wants_token(authorization):
            exchange.principal = self.authenticator.authenticate(authorization or "")
        request = Request(
            method=exchange.method,
            target=target[len(operation.prefix) :],
            headers=_headers(exchange, operation, environ),
            body=read_body(exchange.method, environ),
            deadline=time.monotonic() + deadline.BUDGET_MS / 1000,
        )
        sent = time.perf_counter()
        try:
            return self.upstreams[operation.service].send(request)
        finally:
            exchange.upstream_ms = (time.perf_counter() - sent) * 1000


def _headers(exchange: Exchange, operation: routes.Operation, environ: dict[str, Any]) -> Headers:
    headers = passed_on(environ)
    if operation.door.credentials and "HTTP_AUTHORIZATION" in environ:
        headers.append(("Authorization", environ["HTTP_AUTHORIZATION"]))
    headers += [
        ("Host", operation.service),
        ("X-Forwarded-For", exchange.client),
        (trace.REQUEST_ID, exchange.request_id),
        ("Traceparent", trace.traceparent(environ.get("HTTP_TRACEPARENT"))),
        (deadline.HEADER, str(deadline.BUDGET_MS)),
    ]
    if exchange.principal:
        who = exchange.principal.identity
        headers += [(identity.HEADER, exchange.principal.internal), ("X-User-Id", str(who.user_id))]
        if who.tenant_id:
            headers.append(("X-Tenant-Id", str(who.tenant_id)))
    return headers


def _answer(exchange: Exchange, answer: Answer, start_response: Callable[..., Any]) -> Iterable[bytes]:
    try:
        check(exchange, answer)
        first = first_piece(answer)
    except BaseException:
        answer.body.close()
        raise
    headers = [*public_headers(exchange, answer), (trace.REQUEST_ID, exchange.request_id)]
    exchange.status = answer.status
    start_response(f"{answer.status} {_phrase(answer.status)}", headers)
    return Outgoing(exchange, first, answer.body)


def _refuse(exchange: Exchange, problem: Problem, start_response: Callable[..., Any]) -> Iterable[bytes]:
    body = errors.render(problem, exchange.request_id)
    headers = [
        ("Content-Type", errors.CONTENT_TYPE),
        ("Content-Length", str(len(body))),
        ("Cache-Control", "no-store"),
        (trace.REQUEST_ID, exchange.request_id),
        *problem.headers.items(),
    ]
    if "allow" in exchange.extra:
        headers.append(("Allow", exchange.extra["allow"]))
    if problem.status == 401:
        headers.append(("WWW-Authenticate", "Bearer"))
    exchange.status = problem.status
    exchange.extra["code"] = problem.code
    start_response(f"{problem.status} {_phrase(problem.status)}", headers)
    return Outgoing(exchange, b"" if exchange.method == "HEAD" else body)


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unknown"
