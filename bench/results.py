"""The rows that measuring gives: printed as they come in, and written to bench/RESULTS.md with what was measured."""

import os
import platform as machine
import re
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

from alicerce import binaries

PAGE = Path(__file__).with_name("RESULTS.md")
REQUIREMENTS = Path(__file__).parent / "peers" / "requirements.txt"
NAME_WIDTH, FIGURE_WIDTH = 58, 14
OURS = ("flask", "gunicorn", "marshmallow", "orjson", "psycopg2-binary", "sqlalchemy", "urllib3", "werkzeug")
METHOD = """\
Written by `make bench`. How each row is measured, and how far to trust it, says
[docs/performance.md](../docs/performance.md).
"""


@dataclass(frozen=True, slots=True)
class Row:
    """One figure. Rows with a target are those that must be reached; less is better unless `more_is_better`.

    `spread` is the largest CPU figure of the rounds above the smallest, as a share of the median; `noise` is the share
    of the server's core that went to neither side (both as `bench.measure.Figures` has them). `why` says what the
    figure is made of where it misses its target or its ambition; the profile behind it is in docs/performance.md.
    """

    name: str
    figure: float
    unit: str
    target: float | None = None
    ambition: float | None = None
    versus: str = ""
    note: str = ""
    why: str = ""
    spread: float | None = None
    noise: float | None = None
    more_is_better: bool = False

    @property
    def verdict(self) -> str:
        """Whether the target and the ambition are met, or by what share they are missed."""
        if self.target is None:
            return ""
        if self._missed(self.target) > 0:
            return f"missed by {self._missed(self.target):.0%}"
        if self.ambition is None or self._missed(self.ambition) <= 0:
            return "met" if self.ambition is None else "ambition met"
        return f"met; ambition missed by {self._missed(self.ambition):.0%}"

    def _missed(self, limit: float) -> float:
        beyond = (limit - self.figure if self.more_is_better else self.figure - limit) / limit
        return beyond if beyond >= 0.005 else 0.0  # what would be printed as 0 %


def amount(value: float | None, unit: str = "") -> str:
    """A number with as many digits as it is worth, and its unit."""
    if value is None:
        return ""
    digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2
    return f"{value:,.{digits}f} {unit}".rstrip()


def goals(row: Row) -> str:
    """Target and ambition in a few words: `≤ 1.15, better 1.05`."""
    if row.target is None:
        return ""
    sign = "≥" if row.more_is_better else "≤"
    better = "" if row.ambition is None else f", better {amount(row.ambition)}"
    return f"{sign} {amount(row.target)}{better}"


def show(row: Row) -> None:
    """Print one row under those before it."""
    words = [goals(row), row.verdict, row.versus, row.note]
    line = f"{row.name:<{NAME_WIDTH}} {amount(row.figure, row.unit):>{FIGURE_WIDTH}}   "
    print(line + "   ".join(word for word in words if word), flush=True)


def write(parts: Mapping[str, Sequence[Row]], page: Path = PAGE) -> None:
    """Write the page: first what must be reached, then every row, by part; then the versions."""
    must = [row for rows in parts.values() for row in rows if row.target is not None]
    lines = ["# Results", "", METHOD, f"{datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} cores, {machine.system()}.", ""]
    lines += ["## Must reach", "", *_table(_MUST, (_must_cells(row) for row in must)), ""]
    for title, rows in parts.items():
        lines += [f"## {title.capitalize()}", "", *_table(_ALL, (_all_cells(row) for row in rows)), ""]
    lines += ["## Versions", "", *(f"* {name}: {version}" for name, version in versions().items()), ""]
    page.write_text("\n".join(lines), "utf-8")


_MUST = ("row", "figure", "target", "ambition", "verdict", "why")
_ALL = ("row", "figure", "spread", "noise", "beside", "note")


def _must_cells(row: Row) -> Sequence[str]:
    target, ambition = (amount(limit) for limit in (row.target, row.ambition))
    sign = "≥" if row.more_is_better else "≤"
    shown = [f"{sign} {limit}" if limit else "" for limit in (target, ambition)]
    why = row.why if "missed" in row.verdict else ""
    return row.name, amount(row.figure, row.unit), *shown, row.verdict, why


def _all_cells(row: Row) -> Sequence[str]:
    spread, noise = ("" if share is None else f"{share:.0%}" for share in (row.spread, row.noise))
    return row.name, amount(row.figure, row.unit), spread, noise, row.versus, row.note


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    return [f"| {' | '.join(cells)} |" for cells in (heads, ["---"] * len(heads), *rows)]


def versions() -> dict[str, str]:
    """What was measured, and with what: our lock, the peers' pins, and the programs of this machine."""
    postgres = binaries.find().folder / "postgres"
    return {
        "Python": sys.version.split()[0],
        "ours": ", ".join(f"{name} {metadata.version(name)}" for name in OURS),
        "peers": ", ".join(re.findall(r"^[\w.-]+==\S+", REQUIREMENTS.read_text(), re.MULTILINE)).replace("==", " "),
        "Postgres": _said(str(postgres), "--version"),
        "nginx": _said("nginx", "-v"),
        "wrk": _said("wrk", "-v"),
    }


def _said(*words: str) -> str:
    """The version number in what a program says of itself, wherever it says it."""
    try:
        done = subprocess.run(words, capture_output=True, text=True)
    except FileNotFoundError:
        return "not installed"
    found = re.search(r"\d+\.[\d.]*\d", done.stdout + done.stderr)
    return found[0] if found else "unknown"
