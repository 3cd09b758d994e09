"""Bytes to a server and bytes back, with nothing between that could repair them."""

import json
import socket
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

TIMEOUT_S = 30


@dataclass
class Reply:
    """One answer as it came over the wire. `whole` is false when the connection closed before its declared end."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes
    whole: bool
    version: str = "HTTP/1.1"

    def values(self, name: str) -> list[str]:
        """Every value of a header."""
        return [value for key, value in self.headers if key.lower() == name.lower()]

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    def check_problem(self) -> None:
        """A refusal is a whole problem document, whoever wrote it."""
        assert self.whole, self
        assert self.values("Content-Type") == ["application/problem+json"], self
        assert self.values("Content-Length") == [str(len(self.body))], self
        assert self.json["status"] == self.status, self
        assert self.json["code"], self
        assert self.json["request_id"], self


def exchange(port: int, sent: bytes, *, method: str = "GET", half_close: bool = True) -> list[Reply]:
    """Send bytes, and read answers until the other side closes. `method` says which answers have no body."""
    return parse(talk(port, sent, half_close=half_close), method)


def talk(port: int, sent: bytes, *, half_close: bool = True) -> bytes:
    """Send bytes, and read until the other side closes."""
    with socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT_S) as client:
        received = b""
        with suppress(OSError):  # it may be gone already, after an answer
            client.sendall(sent)
            if half_close:
                client.shutdown(socket.SHUT_WR)
        with suppress(ConnectionResetError):
            while more := client.recv(65536):
                received += more
    return received


def parse(received: bytes, method: str = "GET") -> list[Reply]:
    """Split what came into answers. Anything that is not HTTP fails."""
    replies = []
    while received:
        head, separator, rest = received.partition(b"\r\n\r\n")
        assert separator, received
        line, *fields = head.decode("latin-1").split("\r\n")
        assert line.startswith("HTTP/1."), line
        headers = [(name, value) for name, _, value in (field.partition(": ") for field in fields)]
        reply = Reply(int(line.split(" ")[1]), headers, b"", True, line.split(" ")[0])
        if reply.status == 100:
            received = rest
            continue
        if method != "HEAD" and reply.status not in (204, 304):
            rest = _read_body(reply, rest)
        replies.append(reply)
        received = rest
    return replies


def _read_body(reply: Reply, rest: bytes) -> bytes:
    if reply.values("Transfer-Encoding") == ["chunked"]:
        while True:
            size, separator, rest = rest.partition(b"\r\n")
            if not separator or len(rest) < int(size, 16) + 2:
                reply.whole = False
                return b""
            reply.body += rest[: int(size, 16)]
            rest = rest[int(size, 16) + 2 :]
            if size == b"0":
                return rest
    length = int(reply.values("Content-Length")[0]) if reply.values("Content-Length") else len(rest)
    reply.body, reply.whole = rest[:length], len(rest) >= length
    return rest[length:]
