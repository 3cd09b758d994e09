"""`make logs service=customer` shows the lines of one service, however they are written."""

import pytest

from alicerce.control import _concerns

JSON = '{"time":"2026-11-21T08:35:13Z","level":"INFO","service":"customer","logger":"API","message":"request"}'
TEXT = "2026-11-21T08:35:13.369+00:00 - customer - INFO - _log:12 - request"


@pytest.mark.parametrize("line", [JSON, TEXT, "customer    | anything it says"])
def test_a_line_belongs_to_its_service_and_to_no_other(line: str) -> None:
    assert _concerns(line, "customer")
    assert not _concerns(line, "custom")
    assert not _concerns(line, "product")
