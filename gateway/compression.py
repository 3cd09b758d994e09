"""Smaller answers for clients that can unpack them: JSON and CSV, once they are whole and worth it.

A packed body is another representation, with a strong entity tag of its own (RFC 9110, 8.8.3): `"7"` becomes
`"7-gzip"`. A weak tag would make every `If-Match` of a browser fail. On the way in the ending comes off again.
"""

import zlib
from collections.abc import Mapping
from functools import lru_cache

from flask import Flask, Response, request

from gateway.headers import Headers, said
from kit.config import setting
from kit.waiting import yielding

COMPRESSION_ENABLED = setting("COMPRESSION_ENABLED", True, "Whether JSON and CSV answers are packed with gzip.")
LEVEL = 5
MIN_BYTES = 1024
GZIP_WINDOW = 31
PLAIN = frozenset({"application/json", "application/problem+json", "text/csv"})
WHOLE = frozenset({200, 201, 202, 400, 403, 404, 409, 412, 422})  # statuses whose body is all of a representation
ENDING = '-gzip"'
VARY = ("Vary", "Accept-Encoding")
CONDITIONS = ("If-Match", "If-None-Match")


@lru_cache(maxsize=64)
def accepts_gzip(offered: str) -> bool:
    """Whether an Accept-Encoding header (RFC 9110, 12.5.3) takes gzip, at least as gladly as a plain body."""
    weights: dict[str, float] = {}
    for part in offered.lower().split(","):
        coding, _, parameter = (word.strip() for word in part.partition(";"))
        weights["gzip" if coding == "x-gzip" else coding] = _weight(parameter)
    gzip = weights.get("gzip", weights.get("*", 0.0))
    return gzip > 0 and gzip >= weights.get("identity", 0.0)


def _weight(parameter: str) -> float:
    name, _, value = parameter.partition("=")
    if not parameter:
        return 1.0
    try:
        return float(value) if name.strip() == "q" else 0.0
    except ValueError:
        return 0.0


def is_packable(status: int, told: Mapping[str, str]) -> bool:
    """Whether an answer whose headers say this may be packed, depending on who asks."""
    return (
        status in WHOLE
        and told.get("content-type", "").partition(";")[0].strip().lower() in PLAIN
        and "content-encoding" not in told
        and "content-range" not in told
        and "no-transform" not in told.get("cache-control", "").lower()
    )


def pack(headers: Headers, body: bytes) -> tuple[Headers, bytes]:
    """The same answer in gzip: the same bytes each time, as its strong tag promises."""
    yielding()  # a large answer takes milliseconds
    packer = zlib.compressobj(LEVEL, zlib.DEFLATED, GZIP_WINDOW)
    packed = packer.compress(body) + packer.flush()
    changed = {"content-length": str(len(packed))}
    kept = [(name, changed.get(name.lower(), _tag(name, value))) for name, value in headers]
    return [*kept, ("Content-Encoding", "gzip")], packed


def _tag(name: str, value: str) -> str:
    is_strong = name.lower() == "etag" and value.startswith('"') and value.endswith('"')
    return value[:-1] + ENDING if is_strong else value


def bare(name: str, value: str) -> str:
    """A condition in the words of the service, which knows nothing of packing."""
    return value.replace(ENDING, '"') if name in CONDITIONS else value


def as_asked(headers: Headers, condition: str) -> Headers:
    """The headers of a 304 with the very tag that the client said it has."""
    return [(name, tag if (tag := _tag(name, value)) in condition else value) for name, value in headers]


def attach(app: Flask) -> None:
    """Pack the gateway's own documents too."""
    if not COMPRESSION_ENABLED():
        return

    @app.after_request
    def packed(response: Response) -> Response:
        if not is_packable(response.status_code, said(list(response.headers))):
            return response
        response.vary.add("Accept-Encoding")
        body = response.get_data()
        if len(body) >= MIN_BYTES and accepts_gzip(request.headers.get("Accept-Encoding", "")):
            headers, body = pack(list(response.headers), body)
            response.set_data(body)
            response.headers.clear()
            response.headers.extend(headers)
        return response
