"""What of a service's answer reaches the client: which headers, and a body that is whole or visibly broken."""

from collections.abc import Iterator
from contextlib import suppress

from gateway.exchange import Exchange
from gateway.headers import NAME, VALUE, Headers
from gateway.log import log_request
from gateway.upstream import Answer, Body, UpstreamBroken

WITHHELD = frozenset(
    (
        *("connection", "keep-alive", "proxy-connection", "proxy-authenticate", "te", "trailer", "upgrade"),
        *("transfer-encoding", "server", "x-powered-by", "date", "x-request-id"),
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
    lengths = [value for name, value in answer.headers if name.lower() == "content-length"]
    codings = [value.lower() for name, value in answer.headers if name.lower() == "transfer-encoding"]
    is_sane = (
        200 <= answer.status <= MOST_STATUS
        and all(NAME.match(name) and VALUE.match(value) for name, value in answer.headers)
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
    for name, value in answer.headers:
        lower = name.lower()
        is_chunked = is_chunked or lower == "transfer-encoding"
        if lower in WITHHELD or lower.startswith("x-internal-") or (lower == "set-cookie" and not keeps_cookies):
            continue
        shown.append((name, _public(exchange, value) if lower == "location" else value))
    # Chunks win over a length that contradicts them (RFC 9112, 6.3).
    return [(name, value) for name, value in shown if name.lower() != "content-length"] if is_chunked else shown


def _public(exchange: Exchange, location: str) -> str:
    """A service's own path as the client knows it. `//host` is no path: it leads elsewhere, and stays as it is."""
    prefix = exchange.operation.prefix if exchange.operation else ""
    return prefix + location if location.startswith("/") and not location.startswith("//") else location


def first_piece(answer: Answer) -> bytes:
    """What there is before the client gets a byte, while the answer can still become an error.

    That is a small body as a whole, so that a client who reads slowly holds no connection and no place at the service;
    of a long or endless one, the first piece. Raises UpstreamTimeout, UpstreamBroken.
    """
    return b"".join(answer.body) if is_whole(answer) else next(answer.body, b"")


def is_whole(answer: Answer) -> bool:
    """Whether the first piece is all there is."""
    length = next((int(value) for name, value in answer.headers if name.lower() == "content-length"), SMALL_BYTES + 1)
    return length <= SMALL_BYTES


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
