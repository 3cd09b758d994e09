"""Errors: types beside the verb that raises them, rendered once as RFC 9457 problem documents.

An error's class name is its code and its docstring is its message:

    class NoSuchCustomer(NotFound):
        '''This customer does not exist.'''

By default an error means that nothing happened; `durable = True` means that what was flushed is kept.
"""

import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, ClassVar

import orjson

CONTENT_TYPE = "application/problem+json"


def snake_case(name: str) -> str:
    """`NoSuchCustomer` as `no_such_customer`, and `NotAMember` as `not_a_member`."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()


class Problem(Exception):
    """Something went wrong on our side. Try again; if it stays, report the request id."""

    status: int = 500
    durable: ClassVar[bool] = False

    def __init__(
        self,
        message: str | None = None,
        *,
        code: str | None = None,
        errors: Mapping[str, Any] | None = None,
        retry_after_s: int | None = None,
        **extra: Any,
    ) -> None:
        self.message = message or " ".join((self.__doc__ or "").split())
        self.code = code or snake_case(type(self).__name__)
        self.errors, self.retry_after_s, self.extra = errors, retry_after_s, extra
        super().__init__(self.message)

    @property
    def headers(self) -> dict[str, str]:
        return {} if self.retry_after_s is None else {"Retry-After": str(self.retry_after_s)}

    def document(self, request_id: str) -> dict[str, Any]:
        """The members of the problem document."""
        return document(self.status, self.code, self.message, request_id, errors=self.errors, **self.extra)


class BadRequest(Problem):
    """The request cannot be read."""

    status = 400


class Unauthenticated(Problem):
    """Log in first: send a valid access token in the Authorization header."""

    status = 401


class Forbidden(Problem):
    """Your role does not allow this."""

    status = 403


class NotFound(Problem):
    """There is nothing here."""

    status = 404


class Conflict(Problem):
    """This does not fit the present state."""

    status = 409


class PreconditionFailed(Problem):
    """This was changed by somebody else in the meantime. Read it again, then repeat your change."""

    status = 412


class TooLarge(Problem):
    """The body is larger than this route accepts."""

    status = 413


class TargetTooLong(Problem):
    """The address with its query is longer than 4094 bytes. Ask for less at once."""

    status = 414


class UnsupportedMediaType(Problem):
    """Send the body as application/json."""

    status = 415


class ValidationError(Problem):
    """Some fields cannot be accepted; `errors` names each."""

    status = 422


class TooManyRequests(Problem):
    """Too many requests. Wait as long as Retry-After says."""

    status = 429


class BadGateway(Problem):
    """A service behind this one gave an answer that cannot be used."""

    status = 502


class Unavailable(Problem):
    """A service behind this one cannot be reached. Try again shortly."""

    status = 503


class DeadlineExceeded(Problem):
    """This took longer than it may, and was given up."""

    status = 504


def document(status: int, code: str, message: str, request_id: str, **extra: Any) -> dict[str, Any]:
    """A problem document (RFC 9457) with our extra members `message`, `code`, `errors`, `request_id`."""
    body = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": message,
        "message": message,
        "code": code,
        "request_id": request_id,
    }
    return body | {key: value for key, value in extra.items() if value is not None}


def render(problem: Problem, request_id: str) -> bytes:
    """The bytes of a problem's document."""
    return orjson.dumps(problem.document(request_id), default=str, option=orjson.OPT_NON_STR_KEYS)


def from_status(status: int) -> Problem:
    """The problem for a bare HTTP status, as the web framework raises them for routes and methods."""
    texts = {
        404: ("not_found", "There is nothing at this address."),
        405: ("method_not_allowed", "This address does not take this method; see the Allow header."),
        413: ("too_large", "The body is larger than this route accepts."),
        415: ("unsupported_media_type", "Send the body as application/json."),
    }
    phrase = HTTPStatus(status).phrase
    code, message = texts.get(status, (re.sub(r"\W+", "_", phrase.lower()), phrase + "."))
    problem = Problem(message, code=code)
    problem.status = status
    return problem
