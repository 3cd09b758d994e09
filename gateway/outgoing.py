"""What of a service's answer reaches the client: which headers, and a body that is whole or visibly broken."""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from functools import lru_cache

from gateway.exchange import Exchange
from gateway.headers import NAMES, Headers, are_fields
from gateway.log import log_request
from gateway.upstream import Answer, Body, UpstreamBroken

WITHHELD = frozenset(
    (
        *("connection", "keep-alive", "proxy-connection", "proxy-authenticate", "te", "trailer", "upgrade"),
        *("server", "x-powered-by", "date", "x-request-id"),
    )
)
MOST_STATUS = 599
SMALL_BYTES = 256 * 1024


def check(exchange: Exchange, answer: Answer) -> None:
    """Refuse an answer that the next hop could read differently than we do. Raises UpstreamBroken.

    101 would hand the connection over, and a doubtful length would shift the borders of answers (RFC 9112, 6.3).
    """
    if answer.is_checked and 200 <= answer.status <= MOST_STATUS:
        return
    framing: dict[str, list[str]] = {"content-length": [], "transfer-encoding": []}
    for name, value in answer.headers:
        if (lower := name.lower()) in framing:
            framing[lower].append(value.lower())
    lengths, codings = framing.values()
    is_sane = (
        200 <= answer.status <= MOST_STATUS
        and are_fields(answer.headers)
        and codings in ([], ["chunked"])
        and len(lengths) <= 1
        and all(length.isascii() and length.isdigit() for length in lengths)
    )
    if not is_sane:
        raise UpstreamBroken(upstream=exchange.service)


def public_headers(exchange: Exchange, answer: Answer) -> Headers:
    """The headers that a client may see, with a Location as the client knows it."""
    keeps_cookies = exchange.operation is not None and exchange.operation.door.credentials
    shown: Headers = []
    is_chunked = False
    for header in answer.headers:
        rule = _rule(header[0])
        if not rule or (rule == "set-cookie" and keeps_cookies):
            shown.append(header)
        elif rule == "location":
            shown.append((header[0], _public(exchange, header[1])))
        is_chunked = is_chunked or rule == "transfer-encoding"
    # Chunks win over a length that contradicts them (RFC 9112, 6.3).
    return [(name, value) for name, value in shown if name.lower() != "content-length"] if is_chunked else shown


@lru_cache(maxsize=NAMES)
def _rule(name: str) -> str:
    """What becomes of headers of this name: empty where they pass as they are."""
    lower = name.lower()
    if lower in WITHHELD or lower.startswith("x-internal-"):
        return "withheld"
    return lower if lower in ("location", "set-cookie", "transfer-encoding") else ""


def _public(exchange: Exchange, location: str) -> str:
    """A service's own path as the client knows it. `//host` is no path: it leads elsewhere, and stays as it is."""
    prefix = exchange.operation.prefix if exchange.operation else ""
    return prefix + location if location.startswith("/") and not location.startswith("//") else location


def first_piece(answer: Answer, told: Mapping[str, str]) -> bytes:
    """What there is before the client gets a byte, while the answer can still become an error.

    That is a small body as a whole, so that a client who reads slowly holds no connection and no place at the service;
    of a long or endless one, the first piece. Raises UpstreamTimeout, UpstreamBroken.
    """
    return b"".join(answer.body) if is_small(told) else next(answer.body, b"")


def is_small(told: Mapping[str, str]) -> bool:
    """Whether an answer announces a body that is worth waiting for as a whole."""
    return int(told.get("content-length", SMALL_BYTES + 1)) <= SMALL_BYTES


class Outgoing:
    """A body on its way out; whatever becomes of the client, the service is let go and the line is logged."""

    def __init__(self, exchange: Exchange, first: bytes, rest: Body | None = None) -> None:
        self.exchange, self.first, self.rest = exchange, first, rest

    def __iter__(self) -> Iterator[bytes]:
        if self.first:
            yield self.first
        if self.rest:
            yield from self.rest

    def close(self) -> None:
        """Called by the server at the end, also when the client has gone (PEP 3333)."""
        with suppress(Exception):  # how a service cleans up after itself is not the client's concern
            if self.rest:
                self.rest.close()
        log_request(self.exchange)
