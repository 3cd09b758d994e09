"""What `make attack` and `make faults` print at the end: how much was tried, and what got through."""

from collections.abc import Callable, Iterable
from typing import Any

import pytest

LONG = "long"
KEY = "tally"

Tally = Callable[..., None]


@pytest.fixture
def tally(record_property: Callable[[str, Any], None]) -> Tally:
    """`tally("forged identity", tried=40, bad=0)` adds a row's numbers to the table; `note` says more than they do."""

    def add(row: str, *, tried: int, bad: int = 0, note: str = "") -> None:
        record_property(KEY, [row, tried, bad, note])

    return add


def rows(reports: Iterable[Any]) -> dict[str, tuple[int, int, str]]:
    """Of each row: how often it was tried, how often it went wrong, and what was noted last."""
    found: dict[str, tuple[int, int, str]] = {}
    for report in reports:
        for key, value in getattr(report, "user_properties", ()):
            if key == KEY and report.when == "call":
                row, tried, bad, note = value
                before = found.get(row, (0, 0, ""))
                found[row] = (before[0] + tried, before[1] + bad, note or before[2])
    return found


def show(terminal: Any) -> None:
    """Print the table."""
    found = rows(report for reports in terminal.stats.values() for report in reports)
    if not found:
        return
    width = max(map(len, found))
    terminal.write_sep("=", "what was tried, and what got through")
    for row, (tried, bad, note) in sorted(found.items()):
        terminal.write_line(f"{row:<{width}}  {tried:>8,} tried  {bad:>4} bad  {note}".rstrip())
