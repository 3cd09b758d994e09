"""`make logs service=customer` shows the lines of one service, however they are written."""

import pytest

from alicerce.control import _concerns
from alicerce.journal import as_json, record_of

JSON = '{"time":"2026-11-21T08:35:13Z","level":"INFO","service":"customer","logger":"API","message":"request"}'
LIBRARY = '{"time":"2026-11-21T08:35:13Z","level":"INFO","service":"gunicorn","logger":"gunicorn.error","message":"x"}'
TEXT = "2026-11-21T08:35:13.369+00:00 - customer - INFO - _log:12 - request"


@pytest.mark.parametrize(
    ("line", "process"),
    [(JSON, "solo"), (TEXT, "solo"), (LIBRARY, "customer"), ("anything it says", "customer")],
)
def test_a_line_belongs_to_its_service_and_to_no_other(line: str, process: str) -> None:
    record = record_of(as_json(line, process, 0.0))
    assert _concerns(record, "customer")
    assert not _concerns(record, "custom")
    assert not _concerns(record, "product")
