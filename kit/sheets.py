"""Tables as CSV files (RFC 4180): written so that no spreadsheet runs a cell, read so that nothing is guessed.

Where a spreadsheet would take text for a formula, it gets an apostrophe before it (OWASP, CSV injection; ASVS 5,
1.2.10); reading takes it away again, so that an exported file can be imported. Comma, semicolon and tab are recognised;
the text is UTF-8.
"""

import csv
import io
import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from typing import Any

from kit.errors import ValidationError

FORMULA = "=+-@＝＋－＠"
# Where a formula may begin: in a cell, and after what ends a cell for a program that divides at something else than the
# comma, as Excel does wherever the comma is the decimal sign. To such a program our quotes may be letters.
# The second group holds the apostrophes of a formula, if there is one; matching without one keeps this linear.
BEGINNING = re.compile(rf"""((?:\A|[;\t\r\n])[\s"]*)(?:('*)(?=[{re.escape(FORMULA)}]))?""")
DELIMITERS = ",;\t"
MAX_ROWS = 100_000
MAX_FAULTS = 100
ROUNDED_REASON = "A spreadsheet has rounded this code as a number. Format its column as text, and fill it in again."
# A code that a spreadsheet has taken for a number and rounded: 1.11222E+13. What it was cannot be known any more.
ROUNDED = re.compile(r"[0-9](?:[.,][0-9]+)?E\+[0-9]+\Z", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with a cell, a row or (row 1) the header. Rows are counted as a spreadsheet shows them."""

    row: int
    column: str | None
    reason: str


class UnreadableSheet(ValidationError):
    """The file cannot be read as a table, and nothing of it was kept; `faults` names row, column and reason."""

    def __init__(self, faults: Iterable[Fault]) -> None:
        super().__init__(faults=[asdict(fault) for fault in faults][:MAX_FAULTS])


@dataclass(frozen=True, slots=True)
class Sheet:
    """A table that could be read: its columns, and its rows as (row number, cell by column); blank cells are absent."""

    columns: tuple[str, ...]
    rows: list[tuple[int, dict[str, str]]]


def write(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> bytes:
    """A CSV file with a header. Texts lose surrounding blanks; numbers (int, Decimal) stay numbers; None is empty."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(header)
    writer.writerows([_harmless(cell) for cell in row] for row in rows)
    return out.getvalue().encode()


def _harmless(cell: Any) -> Any:
    if isinstance(cell, str):
        return BEGINNING.sub(lambda at: at[0] if at[2] is None else f"{at[1]}'{at[2]}", cell.strip())
    return cell


def _plain(cell: str) -> str:
    return BEGINNING.sub(lambda at: at[1] + (at[2] or "")[1:], cell.strip())


def read(data: bytes, *, known: Collection[str], codes: Collection[str] = ()) -> Sheet:
    """The table in a file. `known` names the columns there may be, `codes` those that no spreadsheet may have rounded.

    Raises UnreadableSheet for another encoding, an unknown or repeated column, ragged rows, broken quotes, and codes
    in scientific notation; each fault with its row and column.
    """
    text = _decode(data)
    delimiter = max(DELIMITERS, key=text.partition("\n")[0].count)
    records = _records(text, delimiter)
    columns = tuple(name.strip() for name in next(records, []))
    if faults := [*islice(_header_faults(columns, known), MAX_FAULTS)]:
        raise UnreadableSheet(faults)
    rows: list[tuple[int, dict[str, str]]] = []
    for number, cells in enumerate(records, 2):
        if not any(cell.strip() for cell in cells):
            continue
        if len(cells) != len(columns):
            reason = f"This row has {len(cells)} cells, but the header has {len(columns)}."
            faults.append(Fault(number, columns[len(cells)] if len(cells) < len(columns) else None, reason))
            continue
        row = {name: _plain(cell) for name, cell in zip(columns, cells, strict=True) if cell.strip()}
        faults += [Fault(number, name, ROUNDED_REASON) for name in row if name in codes and ROUNDED.match(row[name])]
        rows.append((number, row))
        if len(faults) >= MAX_FAULTS:
            break
        if len(rows) > MAX_ROWS:
            raise UnreadableSheet([Fault(number, None, f"A file has at most {MAX_ROWS} rows; divide this one.")])
    if faults:
        raise UnreadableSheet(faults)
    return Sheet(columns, rows)


def _decode(data: bytes) -> str:
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = data[: error.start].decode("utf-8-sig", "replace")
        row, line = before.count("\n") + 1, before.rpartition("\n")[2]
        header = before.partition("\n")[0]
        delimiter = max(DELIMITERS, key=header.count)
        names = [name.strip() for name in header.split(delimiter)] if row > 1 else []
        place = line.count(delimiter)
        column = names[place] if place < len(names) else None
        raise UnreadableSheet([Fault(row, column, "This is not UTF-8. Save the file as “CSV UTF-8”.")]) from None
    if "\x00" in text:
        row = text[: text.index("\x00")].count("\n") + 1
        raise UnreadableSheet([Fault(row, None, "The NUL character is not allowed. Save the file as “CSV UTF-8”.")])
    return text


def _records(text: str, delimiter: str) -> Iterator[list[str]]:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    number = 1
    try:
        for record in reader:
            yield record
            number += 1
    except csv.Error as error:
        raise UnreadableSheet([Fault(number, None, f"The quotes of this row cannot be read: {error}.")]) from None


def _header_faults(columns: Sequence[str], known: Collection[str]) -> Iterator[Fault]:
    if not any(columns):
        yield Fault(1, None, "The file is empty; its first row must name the columns.")
        return
    seen: set[str] = set()
    for name in columns:
        if name not in known:
            yield Fault(1, name, f"There is no such column; choose from {', '.join(known)}.")
        elif name in seen:
            yield Fault(1, name, "This column stands here twice.")
        seen.add(name)


def attachment(name: str) -> dict[str, str]:
    """The header that makes a browser save an answer as a file of this name."""
    return {"Content-Disposition": f'attachment; filename="{name}"'}
