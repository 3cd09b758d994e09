"""What the gateway refuses of a body by itself, whichever server is before it: before a byte of it is read."""

from typing import Any

import pytest

from kit import transport
from kit.transport import MAX_BODY_BYTES


class Unread:
    """A body that nobody may touch."""

    def read(self, size: int) -> bytes:
        raise AssertionError(f"{size} bytes were asked for")


@pytest.mark.parametrize(
    ("said", "status"),
    [
        ({"CONTENT_LENGTH": str(MAX_BODY_BYTES + 1)}, 413),
        ({"CONTENT_LENGTH": "9" * 60}, 413),
        ({"CONTENT_LENGTH": "5", "HTTP_TRANSFER_ENCODING": "chunked"}, 400),
        ({"CONTENT_LENGTH": "-5"}, 400),
        ({"CONTENT_LENGTH": "+5"}, 400),
        ({"CONTENT_LENGTH": "5, 5"}, 400),
        ({"CONTENT_LENGTH": "\u0665"}, 400),
        ({"HTTP_TRANSFER_ENCODING": "gzip, chunked"}, 400),
        ({"HTTP_TRANSFER_ENCODING": "chunked, chunked"}, 400),
        ({"HTTP_TRANSFER_ENCODING": ""}, 400),
    ],
)
def test_a_body_whose_end_is_doubtful_or_too_far_is_not_read(platform: Any, said: dict[str, str], status: int) -> None:
    environ = transport.environ("POST", "/auth/login", [("Host", "gateway"), ("Content-Type", "application/json")], b"")
    answer = transport.call(platform, environ | said | {"wsgi.input": Unread()})
    assert (answer.status, dict(answer.headers)["Content-Type"]) == (status, "application/problem+json")
