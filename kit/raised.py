"""Which errors an operation can raise, read from the names in the code of its view and of the verbs below it.

An error that nobody raises on a certain path is still named, because code is read here and not run: the list may hold
one too many, and misses only what comes out of the database or out of a class that is chosen at run time.
"""

import inspect
from collections.abc import Callable, Iterator
from types import CodeType, FunctionType
from typing import Any

from kit.errors import Problem

OURS = ("services.", "contracts.", "kit.sheets", "kit.pages", "kit.lifecycle")


def raised_by(view: Callable[..., Any]) -> set[type[Problem]]:
    """The error types that a view names, itself or in functions of ours that it calls."""
    found: set[type[Problem]] = set()
    seen: set[Any] = set()
    waiting: list[Any] = [view]
    while waiting:
        thing = waiting.pop()
        if isinstance(thing, type) and issubclass(thing, Problem):
            found.add(thing)
        elif isinstance(thing, FunctionType) and thing not in seen:
            seen.add(thing)
            waiting.append(getattr(thing, "__wrapped__", None))
            if thing.__module__.startswith(OURS):
                waiting += _named(thing)
    return found


def _named(function: FunctionType) -> Iterator[Any]:
    """What the global names in a function stand for, and what it takes from modules of ours by a dot."""
    names = {name for code in _codes(function.__code__) for name in code.co_names}
    things = [function.__globals__[name] for name in names if name in function.__globals__]
    yield from things
    for module in things:
        if inspect.ismodule(module) and module.__name__.startswith(OURS):
            yield from (vars(module)[name] for name in names if name in vars(module))


def _codes(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _codes(constant)
