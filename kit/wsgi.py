"""A request as WSGI sees it, and its answer on the wire: gunicorn's rules at a fraction of its price.

gunicorn's parser decides what is a request at all, and its `Response` how an answer is framed. Here is what it does
the same way each time, done once: what a connection says of itself, names that were checked, and the date of a second.
A request of the commonest shape is read here too; whatever looks different in any way is gunicorn's to read or refuse.
"""

import re
import time
from email.utils import formatdate
from functools import lru_cache
from types import SimpleNamespace
from typing import Any
from urllib.parse import unquote_to_bytes

from gunicorn import SERVER
from gunicorn.http import wsgi
from gunicorn.http.body import Body, LengthReader
from gunicorn.http.parser import Parser
from gunicorn.util import is_hoppish

from kit.errors import Problem
from kit.strict import StrictRequest, is_host
from kit.transport import MAX_BODY_BYTES, environ_key

COMMON_BYTES = 4000  # below every limit of gunicorn's on lines and fields, so that none has to be looked at
# A part of what gunicorn takes: six methods, an absolute path, printable ASCII, names of letters, digits and hyphens.
COMMON = re.compile(
    rb"(GET|HEAD|POST|PUT|PATCH|DELETE) (/(?!/)[!-\"$-~]*) HTTP/1\.1\r\n"
    rb"((?:[A-Za-z0-9-]+:[\t\x20-\x7e]*\r\n){1,64})\r\n"
)
UNCOMMON = frozenset({"TRANSFER-ENCODING", "EXPECT"})
KEEP_ALIVE = "keep-alive"
LENGTH = re.compile(r"[0-9]{1,12}\Z")
NAMES = 512  # of headers whose names are remembered: what answers of ours hold is a fraction of it


def fixed(cfg: Any) -> SimpleNamespace:
    """gunicorn's settings as plain attributes: it looks each one up in two tables, and a request asks for twenty."""
    said = {name: setting.get() for name, setting in cfg.settings.items()}
    return SimpleNamespace(**{**said, "is_ssl": cfg.is_ssl})


class PlainRequest(StrictRequest):
    """A request of a client, read here where it is common."""

    is_common = False
    proxy_protocol_info: Any = None

    def __init__(self, cfg: Any, unreader: Any, peer_addr: Any, req_number: int = 1) -> None:
        data = unreader.read()
        if not data:
            raise StopIteration
        end = data.find(b"\r\n\r\n", 0, COMMON_BYTES) + 4
        found = COMMON.fullmatch(data, 0, end)
        if found and self._is_taken(found):
            self.cfg, self.unreader, self.req_number = cfg, unreader, req_number
            self.peer_addr = self.remote_addr = peer_addr
            self.scheme, self.version, self.fragment = "http", (1, 1), ""
            self.body = Body(LengthReader(unreader, self.length))
            self.trailers: list[tuple[str, str]] = []
            self.must_close = self._expected_100_continue = False
            if len(data) > end:
                unreader.unread(data[end:])
        else:
            unreader.unread(data)
            super().__init__(cfg, unreader, peer_addr, req_number)

    def _is_taken(self, found: re.Match[bytes]) -> bool:
        """Take what a common head says; False when gunicorn has to look at one of its fields."""
        headers = [_field(line) for line in found[3].decode("ascii").split("\r\n")[:-1]]
        said = dict(headers)
        length = said.get("CONTENT-LENGTH", "0")
        if (
            len(said) < len(headers)
            or not UNCOMMON.isdisjoint(said)
            or said.get("CONNECTION", KEEP_ALIVE) != KEEP_ALIVE
            or not LENGTH.match(length)
            or int(length) > MAX_BODY_BYTES
            or not is_host(said.get("HOST", ""))
        ):
            return False
        self.is_common, self.headers, self.length = True, headers, int(length)
        self.method, self.uri = found[1].decode("ascii"), found[2].decode("ascii")
        path, _, query = self.uri.partition("?")
        self.path, self.query = path, query
        return True

    def should_close(self) -> bool:
        """As gunicorn's, which looks for a `Connection` that no common request has."""
        return bool(self.must_close or self.body.failed) if self.is_common else super().should_close()


def _field(line: str) -> tuple[str, str]:
    name, _, value = line.partition(":")
    return name.upper(), value.strip(" \t")


class PlainParser(Parser):
    """The requests of one connection."""

    mesg_class = PlainRequest

    def finish_body(self, deadline: float | None = None, max_bytes: int | None = None) -> bool:
        """As gunicorn's, which looks at the socket's timeouts also where the body has been read to its end."""
        body = getattr(self.mesg, "body", None)
        reader = getattr(body, "reader", None)
        if isinstance(reader, LengthReader) and reader.length == 0 and not body.failed:  # type: ignore[union-attr]
            return True
        try:
            return bool(super().finish_body(deadline, max_bytes))
        except Problem:  # of a body that nobody wanted to read
            return False


def connection_environ(cfg: Any, client: Any, server: Any) -> dict[str, Any]:
    """The part of an environ (PEP 3333) that is the same for every request of a connection."""
    environ: dict[str, Any] = wsgi.base_environ(cfg)
    del environ["wsgi.file_wrapper"]  # nothing of ours is a file that the kernel could send
    host, port = server[:2] if isinstance(server, tuple) else (server, "")
    address, *more = client if isinstance(client, tuple) else (client,)
    environ |= {"SERVER_NAME": host, "SERVER_PORT": str(port), "REMOTE_ADDR": address, "SCRIPT_NAME": ""}
    environ |= {"wsgi.multithread": True, "wsgi.url_scheme": "http"}
    return environ | ({"REMOTE_PORT": str(more[0])} if more else {})


def environ(connection: dict[str, Any], request: Any) -> dict[str, Any]:
    """The environ of a request. A header that came more than once is joined by commas (RFC 9110, 5.3)."""
    major, minor = request.version
    made = {
        **connection,
        "wsgi.input": request.body,
        "REQUEST_METHOD": request.method,
        "QUERY_STRING": request.query,
        "RAW_URI": request.uri,
        "PATH_INFO": unquote_to_bytes(request.path).decode("latin-1") if "%" in request.path else request.path,
        "SERVER_PROTOCOL": f"HTTP/{major}.{minor}",
    }
    repeated: dict[str, list[str]] = {}
    for name, value in request.headers:
        key = environ_key(name)
        if key in made:
            repeated.setdefault(key, [made[key]]).append(value)
        else:
            made[key] = value
    for key, values in repeated.items():
        made[key] = ",".join(values)
    return made


@lru_cache(maxsize=NAMES)
def _checked(name: str) -> tuple[str, bool]:
    """A header's name in lower case, and whether it concerns one connection only. Raises InvalidHeaderName."""
    if not wsgi.TOKEN_RE.fullmatch(name):
        raise wsgi.InvalidResponseHeaderName(repr(name))
    return name.lower(), is_hoppish(name)


@lru_cache(maxsize=2)
def _date(second: int) -> str:
    return formatdate(second, usegmt=True)


class Response(wsgi.Response):
    """gunicorn's response. Its head leaves together with the first piece of its body, in one packet."""

    head = b""
    headers_sent: bool

    def process_headers(self, headers: list[tuple[str, str]]) -> None:
        """Check the application's headers and keep what may be said. Raises InvalidResponseHeader."""
        for name, value in headers:
            lower, is_hop = _checked(name)
            if not wsgi.HEADER_VALUE_RE.fullmatch(value):
                raise wsgi.InvalidResponseHeader(repr(name))
            if is_hop:
                continue
            if lower == "content-length":
                self.response_length = int(value)
            self.headers.append((name, value.strip(" \t")))

    def is_whole(self, piece: bytes) -> bool:
        """Whether nothing was written yet, and this is all there is."""
        return self.sent == 0 and self.response_length == len(piece)

    @property
    def is_short(self) -> bool:
        """Whether less was written than announced, so that the next answer would be read as the rest of this one."""
        return not self._omits_body and self.sent < (self.response_length or 0)

    def send_headers(self) -> None:
        """Write the head; it waits for the first piece of the body."""
        if self.headers_sent:
            return
        major, minor = self.req.version
        lines = [
            f"HTTP/{major}.{minor} {self.status}",
            f"Server: {SERVER}",
            f"Date: {_date(int(time.time()))}",
            f"Connection: {'close' if self.should_close() else 'keep-alive'}",
            *(("Transfer-Encoding: chunked",) if self.chunked else ()),
            *[f"{name}: {value}" for name, value in self.headers],
            "\r\n",
        ]
        self.head = "\r\n".join(lines).encode("latin-1")
        self.headers_sent = True

    def _emit_body(self, data: bytes) -> None:
        framed = b"%X\r\n%b\r\n" % (len(data), data) if self.chunked else data
        head, self.head = self.head, b""
        self.sock.sendall(head + framed if head else framed)

    def close(self) -> None:
        """The body is over: what was not sent yet leaves."""
        if not self.headers_sent:
            self.send_headers()
        rest, self.head = self.head + (b"0\r\n\r\n" if self.chunked else b""), b""
        if rest:
            self.sock.sendall(rest)
