"""How a service speaks to a sibling: through `requests`, in one careful way.

Every call has a timeout cut to what is left of the request's budget; nothing is followed, stored or taken from the
environment; identity, trace and deadline travel along; and a dead sibling becomes a 503 that names it.
"""

import dataclasses
from datetime import datetime
from functools import cache, lru_cache
from http.cookiejar import DefaultCookiePolicy
from types import SimpleNamespace
from typing import Any, TypeVar, get_args, get_origin, get_type_hints
from urllib.parse import quote, urlsplit
from uuid import UUID

import orjson
import requests
from flask import g
from requests.adapters import BaseAdapter, HTTPAdapter
from urllib3.exceptions import ReadTimeoutError

from kit import deadline, identity, telemetry, trace, transport
from kit.bulkhead import Bulkhead
from kit.config import WEB_THREADS, ConfigurationError, lookup
from kit.errors import BadGateway, DeadlineExceeded, Problem, Unavailable
from kit.fairness import Who
from kit.identity import current
from kit.timed import POOLS

CONNECT_S = 1.0
READ_S = 5.0

T = TypeVar("T")


def address(name: str) -> str:
    """Where a component is reached: `<NOUN>_SERVICE_URL`, or in this process when it is mounted here."""
    if transport.mounted(name):
        return f"http://{name}"
    url = lookup(f"{name.upper()}_SERVICE_URL")
    if not url:
        raise ConfigurationError(f"Set {name.upper()}_SERVICE_URL to where {name} is reached.")
    return url.rstrip("/")


class InProcess(BaseAdapter):
    """Carries a prepared request to an app in this process."""

    def send(self, request: Any, **_: Any) -> requests.Response:  # type: ignore[override]
        app = transport.mounted(str(urlsplit(request.url).hostname))
        if app is None:
            raise requests.ConnectionError("not mounted")
        body = request.body or b""
        env = transport.environ(request.method, request.path_url, request.headers.items(), body)
        answer = transport.call(app, env)
        response = requests.Response()
        response.status_code, response._content = answer.status, answer.body
        response.headers.update(answer.headers)
        return response

    def close(self) -> None:
        """Nothing is held open."""


class Timely(HTTPAdapter):
    """Over HTTP; the read timeout is that of the whole answer, not of each of its bytes."""

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        super().init_poolmanager(*args, **options)
        self.poolmanager.pool_classes_by_scheme = POOLS


@lru_cache(maxsize=2)
def _session(in_process: bool) -> requests.Session:
    session = requests.Session()
    session.trust_env = False
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    session.headers.clear()
    session.mount("http://", InProcess() if in_process else Timely(pool_maxsize=32))
    session.mount("https://", Timely(pool_maxsize=32))
    return session


@cache
def _bulkhead(sibling: str) -> Bulkhead:
    """A quarter of this process's threads: what does not need the sibling keeps the others."""
    return Bulkhead(max(1, WEB_THREADS() // 4))


class Sibling:
    """One sibling, as the functions of `contracts` call it. Parts of a path are quoted, never spliced."""

    def __init__(self, name: str) -> None:
        self.name = name

    def get(self, shape: type[T], *path: object, **query: object) -> T:
        """Read; the answer as a `shape`, a dataclass. Repeated once when the connection fails."""
        return _shaped(self._send("GET", path, query, None), shape)

    def put(self, shape: type[T], *path: object, **fields: object) -> T:
        """Command, idempotent by the id in its path."""
        return _shaped(self._send("PUT", path, {}, fields), shape)

    def post(self, shape: type[T], *path: object, **fields: object) -> T:
        """Command, idempotent by an id that is already committed."""
        return _shaped(self._send("POST", path, {}, fields), shape)

    def _send(self, method: str, path: tuple[object, ...], query: Any, fields: Any) -> Any:
        url = address(self.name) + "".join("/" + quote(str(part), safe="") for part in path)
        request: dict[str, Any] = {
            "method": method,
            "url": url,
            "params": query or None,
            "data": None if fields is None else orjson.dumps(fields, default=str),
            "headers": self._headers(internal=path[0] == "internal"),
            "allow_redirects": False,
        }
        if method != "GET":
            g.commands = g.get("commands", 0) + 1  # from here on the request is not repeated (kit.repeats)
        who = Who(current.tenant_id or current.user_id, current.user_id)
        with _bulkhead(self.name).place(who, self._unavailable()):
            for attempt in (1, 2):
                try:
                    return self._read(self._ask(request, attempt - 1))
                except requests.RequestException as error:
                    if _is_late(error):
                        late = f"{self.name} did not answer in time."
                        raise DeadlineExceeded(late, upstream=self.name) from error
                    if method != "GET" or attempt == 2:
                        raise self._unavailable() from error
        raise AssertionError("unreachable")

    def _ask(self, request: dict[str, Any], repeated: int) -> requests.Response:
        asked = telemetry.ask(trace.current_hop() or trace.aside(), request["method"], request["url"], repeated)
        request["headers"] |= asked.headers()
        left = deadline.spend() / 1000
        timeout = (min(CONNECT_S, left), min(READ_S, left))
        try:
            response = _session(transport.mounted(self.name) is not None).request(**request, timeout=timeout)
        except Exception as error:
            telemetry.heard(asked, None, type(error).__qualname__)
            raise
        telemetry.heard(asked, response.status_code)
        return response

    def _headers(self, internal: bool) -> dict[str, str]:
        # A person's own token travels on to what people may call; an internal route hears the workload instead.
        own = g.get("component", "")
        person = current.token and not current.workload and not internal
        token = current.token if person else identity.mint(own, current, workload=True)
        return {
            identity.HEADER: token,
            "Content-Type": "application/json",
            trace.REQUEST_ID: trace.current_request_id(),
            deadline.HEADER: str(deadline.remaining_ms()),
        }

    def _unavailable(self) -> Unavailable:
        return Unavailable(f"{self.name} cannot be reached. Try again shortly.", upstream=self.name, retry_after_s=1)

    def _read(self, response: requests.Response) -> Any:
        try:
            body = orjson.loads(response.content) if response.content else {}
        except orjson.JSONDecodeError as error:
            raise BadGateway(f"{self.name} gave an answer that is not JSON.", upstream=self.name) from error
        if response.status_code in (502, 503, 504):
            raise self._unavailable()
        if response.status_code >= 400:
            raise self._refusal(response.status_code, body)
        return body

    def _refusal(self, status: int, body: Any) -> Problem:
        """A sibling's own refusal, passed on with its code; a broken sibling is a bad gateway."""
        if status >= 500 or not isinstance(body, dict) or "code" not in body:
            return BadGateway(f"{self.name} failed.", upstream=self.name)
        problem = Problem(body.get("message"), code=body["code"], errors=body.get("errors"))
        problem.status = status
        return problem


def _is_late(error: requests.RequestException) -> bool:
    """Whether time ran out; of a body on its way, `requests` says that the connection failed."""
    return isinstance(error, requests.Timeout) or any(isinstance(cause, ReadTimeoutError) for cause in error.args)


def _shaped(body: Any, shape: type[T]) -> T:
    """Plain JSON as a dataclass, read tolerantly: unknown members are left out, missing ones get their default, and
    are a bad gateway when they have none."""
    if not dataclasses.is_dataclass(shape):
        return SimpleNamespace() if shape is type(None) else body  # type: ignore[return-value]
    hints = get_type_hints(shape)
    try:
        wanted = [f.name for f in dataclasses.fields(shape) if f.name in body or f.default is dataclasses.MISSING]
        return shape(**{name: _value(body[name], hints[name]) for name in wanted})
    except (KeyError, TypeError, ValueError) as error:
        raise BadGateway(f"A sibling's answer lacks what {shape.__name__} needs: {error}.") from error


def _value(value: Any, hint: Any) -> Any:
    arguments: tuple[Any, ...] = get_args(hint)
    if value is None:
        return None
    if get_origin(hint) is list:
        return [_value(item, arguments[0]) for item in value]
    for kind in (hint, *arguments):
        if dataclasses.is_dataclass(kind):
            return _shaped(value, kind)  # type: ignore[arg-type]
        if kind in (UUID, datetime):
            return UUID(value) if kind is UUID else datetime.fromisoformat(value)
    return value
