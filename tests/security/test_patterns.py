"""No pattern of ours takes longer than in proportion to its text (ReDoS)."""

import ast
import re
import time
from collections.abc import Iterator

import pytest

from tests.tables import Tally
from tests.test_architecture import ROOT, parse, python_files

PACKAGES = ("alicerce", "contracts", "gateway", "kit", "services")
TAKES_A_PATTERN = {"compile", "match", "fullmatch", "search", "sub", "split", "findall", "finditer", "Regexp"}
LENGTHS = (22, 300, 10_000)  # the short ones first: what is exponential would not end with the long ones
MOST_S = 0.1  # of processor time; in proportion, the longest takes a hundredth of it
CRUMBS = ("a", "A", "0", ".", "-", "/", " ", "a.", "a-", "a_", "1,", "{a", "/a", "%2", "é", '"', "a=b;", "\n")


def patterns() -> Iterator[tuple[str, str]]:
    """Every pattern that stands in our code as it is, and where."""
    for path in python_files(*PACKAGES):
        for node in ast.walk(parse(path)):
            name = getattr(getattr(node, "func", None), "attr", getattr(getattr(node, "func", None), "id", ""))
            if isinstance(node, ast.Call) and name in TAKES_A_PATTERN and node.args:
                first = node.args[0]
                owner = getattr(getattr(node.func, "value", None), "id", "re")
                if isinstance(first, ast.Constant) and isinstance(first.value, str) and owner in ("re", "validate"):
                    yield first.value, f"{path.relative_to(ROOT)}:{node.lineno}"


def is_slow(pattern: re.Pattern[str], crumb: str) -> bool:
    """Whether some text of repeated crumbs keeps a pattern busy."""
    for length in LENGTHS:
        for end in ("", "\x00", "!"):
            text = crumb * (length // len(crumb)) + end
            started = time.process_time()
            pattern.match(text)  # anchored, as ours are used: a search begins anew at every character
            if time.process_time() - started > MOST_S:
                return True
    return False


def test_time_stays_short_whatever_the_text(tally: Tally) -> None:
    found = sorted(set(patterns()))
    assert len(found) > 15
    slow = [f"{place}: {text}" for text, place in found if any(is_slow(re.compile(text), crumb) for crumb in CRUMBS)]
    tally("patterns and hostile texts", tried=len(found) * len(CRUMBS) * len(LENGTHS) * 3, bad=len(slow))
    assert slow == []


@pytest.mark.parametrize("evil", [r"(a+)+\Z", r"(?:a|a)*\Z", r"a*a*\Z(?!\Z)"])
def test_the_measure_knows_a_slow_pattern(evil: str) -> None:
    assert is_slow(re.compile(evil), "a")
