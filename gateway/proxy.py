"""The proxying path: a small WSGI callable that the gateway's Flask app consults first.

Rule by rule it follows `docs/decisions/0004-proxy-rules.md`: raw target in, the same bytes out; nothing of the client's
that could be mistaken for ours; one Content-Length; and one log line.
"""

import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from http import HTTPStatus
from typing import Any

from gateway import compression, forward_auth, routes
from gateway.auth import Authenticator
from gateway.cors import Cors
from gateway.exchange import Exchange, begin
from gateway.headers import Headers, said
from gateway.incoming import check_headers, client_address, passed_on, read_body
from gateway.limits import Limits, is_guessable
from gateway.log import log_request
from gateway.outgoing import Outgoing, check, first_piece, is_small, public_headers
from gateway.protection import EXCHANGE, PROBES, Mode, finished, security_headers
from gateway.upstream import Answer, Request, Upstream
from gateway.wire import transport_to
from kit import deadline, errors, lanes, trace
from kit.config import home
from kit.errors import BadRequest, Problem
from kit.waiting import SUSPEND

StartResponse = Callable[..., Any]
HELD = lanes.HELD.lower()


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
        self.limits, self.cors, self.mode = Limits(), Cors(), Mode(home())
        self.security = security_headers()
        self.packs = compression.COMPRESSION_ENABLED()

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes] | None:
        target = environ.get("RAW_URI") or environ.get("REQUEST_URI") or ""
        path, _, query = target.partition("?")
        exchange = Exchange(
            method=environ["REQUEST_METHOD"],
            path=path,
            started=time.perf_counter(),
            request_id=trace.request_id(environ.get("HTTP_X_REQUEST_ID")),
            client=client_address(environ),
            headers=[*self.security, *self.cors.headers(environ)],
            hop=begin(environ, path),
        )
        try:
            # Not OPTIONS: its answers cost as little as a refusal, and a page cannot read a refused preflight.
            if exchange.method != "OPTIONS" and path not in PROBES:
                self.limits.count_address(exchange)
            if not routes.is_clean(path, query):
                raise MalformedTarget
            check_headers(environ)
            return self._pass(exchange, environ, target, start_response)
        except Problem as problem:
            return _refuse(exchange, problem, start_response)

    def _pass(
        self, exchange: Exchange, environ: dict[str, Any], target: str, start_response: StartResponse
    ) -> Iterable[bytes] | None:
        node = routes.find(self.root, exchange.path)
        preflight = self.cors.preflight(environ, node)
        if preflight is not None:  # before maintenance, or a page could not read what that says
            exchange.headers += preflight
            return _nothing(exchange, [], start_response)
        self.mode.check_open(exchange.path)
        if node is None and forward_auth.is_asked(environ, exchange.path):
            operation = forward_auth.operation(environ, self.root)
            self._admit(exchange, operation, environ)
            proof = exchange.principal.proof if exchange.principal else []
            where = [*forward_auth.destination(environ, operation), *exchange.hop.headers().items()]
            return _nothing(exchange, [*where, *proof], start_response)
        if node is None:
            environ[EXCHANGE] = exchange
            return None
        request = self._request(exchange, node, environ, target)
        upstream, suspend = self.upstreams[exchange.service], environ.get(SUSPEND)
        if suspend:
            return self._forward(exchange, upstream.ask(request, suspend), environ, start_response)
        sent = time.perf_counter()
        try:
            answer = upstream.send(request)
        finally:
            exchange.upstream_ms = (time.perf_counter() - sent) * 1000
        return self._answer(exchange, answer, environ, start_response)

    def _admit(self, exchange: Exchange, operation: routes.Operation, environ: dict[str, Any]) -> None:
        """Whether a request may go to an operation, cheap questions first; sets whom it speaks for."""
        authorization = environ.get("HTTP_AUTHORIZATION")
        self.mode.check_writable(operation)
        if is_guessable(operation):
            self.limits.count_login(exchange)
        if operation.wants_token(authorization):
            exchange.principal = self.authenticator.authenticate(authorization or "")
            self.limits.count_person(exchange)
        elif operation.mark == routes.OPTIONAL and "HTTP_X_PUBLISHABLE_KEY" in environ:
            self.limits.count_key(exchange, environ["HTTP_X_PUBLISHABLE_KEY"])

    def _request(self, exchange: Exchange, node: routes.Node, environ: dict[str, Any], target: str) -> Request:
        """What is sent to the service, after everything that speaks against it was asked."""
        operation = node.operations.get(exchange.method)
        if operation is None:
            exchange.extra["allow"] = ", ".join(sorted(node.operations))
            raise MethodNotAllowed
        exchange.operation = operation
        # Not where tokens are answered: their length must not tell what of them was guessed (BREACH).
        exchange.packs = self.packs and not operation.door.credentials
        self._admit(exchange, operation, environ)
        return Request(
            method=exchange.method,
            target=target[len(operation.prefix) :],
            headers=_headers(exchange, operation, environ),
            body=read_body(exchange.method, environ),
            deadline=time.monotonic() + deadline.BUDGET_MS / 1000,
            who=exchange.who,
        )

    def _forward(
        self,
        exchange: Exchange,
        asking: Generator[bytes, None, Answer],
        environ: dict[str, Any],
        start_response: StartResponse,
    ) -> Iterator[bytes]:
        """The service's answer, or what is said instead. It yields empty pieces while it waits, without a thread."""
        outgoing: Outgoing | None = None
        sent = time.perf_counter()
        try:
            try:
                try:
                    answer = yield from asking
                finally:
                    exchange.upstream_ms = (time.perf_counter() - sent) * 1000
                outgoing = self._answer(exchange, answer, environ, start_response)
            except Problem as problem:
                outgoing = _refuse(exchange, problem, start_response)
            yield from outgoing
        finally:
            if outgoing is None:
                log_request(exchange)
            else:
                outgoing.close()

    def _answer(
        self, exchange: Exchange, answer: Answer, environ: dict[str, Any], start_response: StartResponse
    ) -> Outgoing:
        try:
            check(exchange, answer)
            values = said(answer.headers)
            self.limits.charge(exchange, values.get(HELD, ""))
            first = first_piece(answer, values)
        except BaseException:
            answer.body.close()
            raise
        headers = [*public_headers(exchange, answer), (trace.REQUEST_ID, exchange.request_id)]
        if exchange.packs:
            headers, first = _packed(answer.status, values, headers, first, environ)
        exchange.status = answer.status
        start_response(f"{answer.status} {_phrase(answer.status)}", finished(exchange, headers))
        return Outgoing(exchange, first, answer.body)


def _headers(exchange: Exchange, operation: routes.Operation, environ: dict[str, Any]) -> Headers:
    headers = [(name, compression.bare(name, value)) for name, value in passed_on(environ)]
    if operation.door.credentials and "HTTP_AUTHORIZATION" in environ:
        headers.append(("Authorization", environ["HTTP_AUTHORIZATION"]))
    headers += [
        ("Host", operation.service),
        ("X-Forwarded-For", exchange.client),
        (trace.REQUEST_ID, exchange.request_id),
        *exchange.ask().items(),
        (deadline.HEADER, str(deadline.BUDGET_MS)),
    ]
    return headers + exchange.principal.proof if exchange.principal else headers


def _packed(
    status: int, told: Mapping[str, str], headers: Headers, first: bytes, environ: dict[str, Any]
) -> tuple[Headers, bytes]:
    """The answer as this client takes it, once it is whole; said to caches also where it stays as it is."""
    if status == 304:
        return [*compression.as_asked(headers, environ.get("HTTP_IF_NONE_MATCH", "")), compression.VARY], first
    if not compression.is_packable(status, told):
        return headers, first
    is_worth_it = len(first) >= compression.MIN_BYTES and is_small(told)
    if is_worth_it and compression.accepts_gzip(environ.get("HTTP_ACCEPT_ENCODING", "")):
        headers, first = compression.pack(headers, first)
    return [*headers, compression.VARY], first


def _nothing(exchange: Exchange, headers: Headers, start_response: StartResponse) -> Outgoing:
    exchange.status = 204
    headers = [*headers, ("Cache-Control", "no-store"), (trace.REQUEST_ID, exchange.request_id)]
    start_response("204 No Content", finished(exchange, headers))
    return Outgoing(exchange, b"")


def _refuse(exchange: Exchange, problem: Problem, start_response: StartResponse) -> Outgoing:
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
    start_response(f"{problem.status} {_phrase(problem.status)}", finished(exchange, headers))
    return Outgoing(exchange, b"" if exchange.method == "HEAD" else body)


PHRASES = {status.value: status.phrase for status in HTTPStatus}


def _phrase(status: int) -> str:
    return PHRASES.get(status, "Unknown")
