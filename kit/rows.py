"""Rows that are only shown: what a model's columns hold, without the ORM's book-keeping of what becomes of it.

A row of the ORM is entered into the session's identity map, watched for changes and detached at the end, which costs
more than reading it. None of that is of use to a request that only reads.
"""

from collections.abc import Callable, Iterable
from functools import cache
from types import FunctionType
from typing import Any, ClassVar

from sqlalchemy import inspect


class Shown:
    """The values of one row as attributes, which cannot be changed; what is found out about it may be added."""

    columns: ClassVar[frozenset[str]] = frozenset()

    def __setattr__(self, name: str, value: Any) -> None:
        if name in self.columns:
            raise AttributeError(f"{name} belongs to a row that is only shown; lock the record to change it.")
        self.__dict__[name] = value


@cache
def shower(model: Any) -> Callable[[Iterable[Any]], Any] | None:
    """What makes the values of a model's columns a row that is shown, with the model's own methods and properties.

    None where that is not all of a record: it has relationships, synonyms, or columns of other names.
    """
    mapper = inspect(model)
    names = [column.key for column in mapper.columns]
    if set(names) != set(mapper.all_orm_descriptors.keys()):
        return None
    ours = (cls for cls in reversed(model.__mro__) if not cls.__module__.startswith("sqlalchemy"))
    members = {name: each for cls in ours for name, each in vars(cls).items() if _is_ours(name, each)}
    kind: Any = type(model.__name__, (Shown,), members | {"columns": frozenset(names)})

    def show(values: Iterable[Any]) -> Any:
        row = kind.__new__(kind)
        row.__dict__.update(zip(names, values, strict=False))  # a total may follow them
        return row

    return show


def _is_ours(name: str, member: Any) -> bool:
    return isinstance(member, FunctionType | property) and not name.startswith("__")
