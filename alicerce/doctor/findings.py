"""What a check of `make doctor` answers."""

from dataclasses import dataclass
from typing import Literal

State = Literal["ok", "warning", "problem"]


@dataclass(frozen=True)
class Finding:
    """The state of one thing, and what was seen; `advice` says how to mend what is not ok."""

    name: str
    state: State
    message: str
    advice: str = ""


def ok(name: str, message: str) -> Finding:
    """Nothing to do."""
    return Finding(name, "ok", message)


def warning(name: str, message: str, advice: str) -> Finding:
    """It works, but somebody should look."""
    return Finding(name, "warning", message, advice)


def problem(name: str, message: str, advice: str) -> Finding:
    """It does not work, or not safely, until somebody has done this."""
    return Finding(name, "problem", message, advice)
