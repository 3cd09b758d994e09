"""docs/security.md names tests: each is one that pytest runs, and no promise waits for the long form alone."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "security.md").read_text()
NAMED = re.compile(r"`(tests/[\w/]+(?:\.py)?/?)(?:::(\w+))?`")
Tests = dict[str, bool]  # whether the short form runs it, by name


@cache
def found_in(path: Path) -> Tests:
    """The tests of a file, or of every file of a folder."""
    if path.is_dir():
        return {name: short for file in path.glob("test_*.py") for name, short in found_in(file).items()}
    if not path.is_file() or not path.name.startswith("test_"):  # pytest looks into no other
        return {}
    tree = ast.parse(path.read_text())
    groups = [tree, *(node for node in tree.body if isinstance(node, ast.ClassDef) and node.name.startswith("Test"))]
    found = [node for group in groups for node in group.body if isinstance(node, ast.FunctionDef)]
    marks = [
        ast.unparse(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and "pytestmark" in ast.unparse(node.targets[0])
    ]
    return {
        node.name: not any("mark.long" in mark for mark in [*marks, *map(ast.unparse, node.decorator_list)])
        for node in found
        if node.name.startswith("test_")
    }


def named(line: str) -> list[Tests]:
    """What a line names: of each, the tests that it means; none where there is no such test."""
    meant = []
    for path, name in NAMED.findall(line):
        tests = found_in(ROOT / path)
        meant.append({name: tests[name]} if name in tests else {} if name else tests)
    return meant


def rows(heading: str) -> list[str]:
    """The rows of the table below a heading, without its head."""
    section = PAGE.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    return [line for line in section.splitlines() if line.startswith("| ")][1:]


def test_every_test_that_the_page_names_is_there_and_is_run() -> None:
    dead = [line for line in PAGE.splitlines() if not all(named(line))]
    assert len(NAMED.findall(PAGE)) > 40
    assert dead == []


@pytest.mark.parametrize("heading", ["What is promised", "OWASP API Security Top 10, 2023"])
def test_every_promise_is_held_by_the_short_form_too(heading: str) -> None:
    kept = {row: any(short for tests in named(row) for short in tests.values()) for row in rows(heading)}
    assert len(kept) >= 10
    assert [row for row, is_kept in kept.items() if not is_kept] == []
