"""CSV files are harmless to open, and faults are named by row and column."""

import csv
import io
import re
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.sheets import DELIMITERS, FORMULA, MAX_ROWS, UnreadableSheet, read, write

KNOWN = ("name", "email", "document")
TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=12).map(str.strip)
RISKY = st.text(st.sampled_from([*FORMULA, *"\t\r\n ,;|'\"x"]), max_size=12)


def faults(data: bytes) -> list[tuple[int, str | None]]:
    with pytest.raises(UnreadableSheet) as caught:
        read(data, known=KNOWN, codes=("document",))
    assert all(fault["reason"] for fault in caught.value.extra["faults"])
    return [(fault["row"], fault["column"]) for fault in caught.value.extra["faults"]]


@given(st.lists(st.tuples(TEXTS, TEXTS), max_size=5))
def test_what_is_written_is_read_again(rows: list[tuple[str, str]]) -> None:
    kept = [(name, email) for name, email in rows if name or email]
    sheet = read(write(KNOWN[:2], rows), known=KNOWN)
    assert [(row.get("name", ""), row.get("email", "")) for _, row in sheet.rows] == kept


@given(TEXTS, st.sampled_from([*FORMULA, "\t", "\r"]))
def test_no_text_cell_begins_as_a_formula(text: str, begin: str) -> None:
    cell = write(["name"], [[begin + text]]).decode().split("\r\n", 1)[1]
    assert cell.lstrip('"')[:1] not in {*FORMULA, "\t"}


@given(st.lists(st.tuples(RISKY, RISKY, RISKY), max_size=3))
def test_no_cell_begins_as_a_formula_wherever_a_spreadsheet_divides(rows: list[tuple[str, str, str]]) -> None:
    text = write(KNOWN, rows).decode()
    cells = [cell for row in csv.reader(io.StringIO(text, newline="")) for cell in row]
    for delimiter in DELIMITERS[1:]:
        cells += [cell for row in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter) for cell in row]
        cells += re.split(rf"[\r\n{delimiter}]", text)
    assert [cell for cell in cells if cell.strip(' "').startswith(tuple(FORMULA))] == []


@given(st.lists(st.tuples(RISKY, RISKY), max_size=5))
def test_risky_texts_are_read_again_as_they_were(rows: list[tuple[str, str]]) -> None:
    kept = [(name.strip(), email.strip()) for name, email in rows if name.strip() or email.strip()]
    sheet = read(write(KNOWN[:2], rows), known=KNOWN)
    assert [(row.get("name", ""), row.get("email", "")) for _, row in sheet.rows] == kept


def test_a_cell_that_is_all_beginnings_costs_no_more_than_its_length() -> None:
    for begin in (";", "\t", ';"', "'"):
        cell = "x" + begin * (60_000 // len(begin)) + "x"
        assert [row for _, row in read(write(["name"], [[cell]]), known=KNOWN).rows] == [{"name": cell}]


def test_what_begins_no_formula_is_written_as_it_is() -> None:
    for character in map(chr, range(0x21, 0x7F)):
        is_formula = character in FORMULA
        assert write(["a"], [[f"{character}5"]]).decode().startswith("a\r\n'") is (is_formula or character == "'")
    assert write(["a", "b"], [["11.222.333/0001-81", "x;5"]]) == b"a,b\r\n11.222.333/0001-81,x;5\r\n"


def test_numbers_stay_numbers() -> None:
    assert write(["a", "b"], [[-5, Decimal("-1.20")], [None, "-1"]]) == b"a,b\r\n-5,-1.20\r\n,'-1\r\n"


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_the_delimiter_is_recognised(delimiter: str) -> None:
    data = f"name{delimiter}email\nAna{delimiter}a@example.com\n\n{delimiter}\n".encode("utf-8-sig")
    assert read(data, known=KNOWN).rows == [(2, {"name": "Ana", "email": "a@example.com"})]


def test_another_encoding_is_named_by_row_and_column() -> None:
    assert faults("name;email\nAna;a@example.com\nJosé;\n".encode("cp1252")) == [(3, "name")]
    assert faults("name;email\nAna;é\n".encode("cp1252")) == [(2, "email")]
    assert faults("name;email\nAna;a\n".encode("utf-16"))[0][0] == 1
    assert faults(b"name\nA\x00na\n") == [(2, None)]


def test_ragged_rows_are_named() -> None:
    assert faults(b"name,email\nAna\nBia,b@example.com,x\nCai,c@example.com\n") == [(2, "email"), (3, None)]


def test_codes_in_scientific_notation_are_named() -> None:
    data = b'name,document\nAna,1.11222E+13\nBia,11222333000181\nCai,"5,29982E+10"\n'
    assert faults(data) == [(2, "document"), (4, "document")]
    assert len(read(b"name\n1E+5\n", known=KNOWN, codes=("document",)).rows) == 1


@pytest.mark.parametrize(
    ("data", "found"),
    [(b"", [(1, None)]), (b"\n\n", [(1, None)]), (b"name,nmae\n", [(1, "nmae")]), (b"name,name\n", [(1, "name")]),
     (b'name\n"Ana\n', [(2, None)]), (b'name\n"Ana"x\n', [(2, None)]), (b"name,\nAna,x\n", [(1, "")])],
)  # fmt: skip
def test_what_is_no_table_is_refused(data: bytes, found: list[tuple[int, str | None]]) -> None:
    assert faults(data) == found


def test_very_many_columns_are_refused_at_once() -> None:
    for name in (b"name,", b"x,"):
        assert len(faults(name * 200_000)) == 100


def test_lines_may_end_as_on_any_machine() -> None:
    for end in (b"\n", b"\r\n", b"\r"):
        assert [row for _, row in read(b"name,email" + end + b"Ana,a" + end, known=KNOWN).rows] == [
            {"name": "Ana", "email": "a"}
        ]


def test_there_are_so_many_rows_and_no_more() -> None:
    assert len(read(b"name\n" + b"A\n" * MAX_ROWS, known=KNOWN).rows) == MAX_ROWS
    assert faults(b"name\n" + b"A\n" * (MAX_ROWS + 1)) == [(MAX_ROWS + 2, None)]
