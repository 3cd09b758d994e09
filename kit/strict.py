"""A request as gunicorn's parser takes it, less what others could read differently.

What is refused here closes the connection, because the place where the next request begins is in doubt.
"""

import re
from functools import lru_cache
from ipaddress import AddressValueError, IPv6Address
from typing import Any

from gunicorn.http.body import Body, ChunkedReader, LengthReader
from gunicorn.http.errors import InvalidHeader, ParseException
from gunicorn.http.message import Request

from kit.errors import BadRequest, TooLarge
from kit.transport import MAX_BODY_BYTES

LONGEST_HOST = 261  # a name of 255 characters, a colon and a port
# Unreserved characters or an address in brackets (RFC 3986, 3.2.2). No name of a host holds a sub-delimiter or a `%`.
HOST = re.compile(r"(?:[A-Za-z0-9._~-]+|\[([0-9A-Fa-f:.]+)\])(?::([0-9]*))?\Z")
LARGEST_PORT = 65535


class MalformedBody(BadRequest):
    """The chunks of the body are not valid HTTP/1.1."""


def is_host(text: str) -> bool:
    """Return whether the value of a Host header names a host, and a port that there can be (RFC 9110, 7.2)."""
    return len(text) <= LONGEST_HOST and _is_host(text)


@lru_cache(maxsize=512)
def _is_host(text: str) -> bool:
    match = HOST.match(text)
    if not match:
        return False
    address, port = match.groups()
    try:
        return not (address and not IPv6Address(address)) and 0 < int(port or "80") <= LARGEST_PORT
    except AddressValueError:
        return False


class Chunks(ChunkedReader):
    """A chunked body, judged by what its chunks announce rather than by what has come of them."""

    announced = 0

    def read(self, size: int) -> bytes:
        """Return the next bytes. Raises MalformedBody, TooLarge, and OSError where the body breaks off."""
        try:
            return bytes(super().read(size))
        except ParseException as error:
            raise MalformedBody from error

    def parse_chunk_size(self, unreader: Any, data: Any = None) -> tuple[int, Any]:
        """Return the size of the next chunk, and what has come of it. Raises TooLarge."""
        size, rest = super().parse_chunk_size(unreader, data)
        self.announced += size
        if self.announced > MAX_BODY_BYTES:
            raise TooLarge
        return size, rest


class StrictRequest(Request):
    """A request of a client, whom gunicorn trusts with nothing: neither another scheme nor names with `_`."""

    body: Any
    must_close: bool
    version: tuple[int, int]

    def _peer_trusted_for_forwarded(self) -> tuple[dict[str, str], list[str]]:
        return {}, []

    def set_body_reader(self) -> None:
        """Find the end of the body, and refuse the request when there could be another one. Raises InvalidHeader."""
        super().set_body_reader()
        hosts = [value for name, value in self.headers if name == "HOST"]
        if not all(map(is_host, hosts)) or len(hosts) > 1 or (self.version >= (1, 1) and not hosts):
            raise InvalidHeader("HOST", req=self)
        codings = [value.lower() for name, value in self.headers if name == "TRANSFER-ENCODING"]
        if codings not in (
            [],
            ["chunked"],
        ):  # `gzip, chunked` would have to be unpacked by whoever reads it
            raise InvalidHeader("TRANSFER-ENCODING", req=self)
        if codings:
            self.body = Body(Chunks(self, self.unreader))
        self.version = min(self.version, (1, 1))  # HTTP/1.2 is read, and answered, as 1.1 (RFC 9110, 2.5)
        if self.is_too_large:
            self.force_close()

    @property
    def is_too_large(self) -> bool:
        """Return whether the announced body is longer than any operation takes."""
        reader = self.body.reader
        return isinstance(reader, LengthReader) and reader.length > MAX_BODY_BYTES

    def should_close(self) -> bool:
        """Return whether the connection ends after this request, as it does once its body could not be read."""
        return bool(self.body.failed or super().should_close())
