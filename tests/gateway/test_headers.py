"""What a header may be made of."""

import pytest

from gateway.headers import are_fields


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("", "a"),
        ("X A", "a"),
        ("X:A", "a"),
        ("X-A", "a\r"),
        ("X-A", "a\n"),
        ("X-A", "a\0"),
        ("X-A", "a\nSet-Cookie\0b=c"),
        ("X-A\0a\nX-B", "b"),
        ("X-A", "\u0142"),
    ],
)
def test_what_the_next_hop_could_read_as_something_else_is_no_field(name: str, value: str) -> None:
    assert not are_fields([("Content-Type", "text/plain"), (name, value)])


def test_plain_fields_are_fields() -> None:
    assert are_fields([])
    assert are_fields([("Content-Type", "text/plain"), ("X-A", ""), ("ETag", '"\t\xe9"')])
