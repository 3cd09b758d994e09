"""Records as the JSON that a marshmallow schema says, without asking it again for each member of each row.

`Writer(schema).one(record)` gives values that `orjson` writes as it would write `schema.dump(record)`: ids, moments and
dates stay what they are, for orjson turns them into text itself. Most members of most rows need no more than that, and
which ones do depends on the types of a row's values alone: so it is found out once for each combination of types that
comes by. That the outcome is the same is a property test.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import date
from operator import attrgetter, itemgetter
from types import NoneType
from typing import Any
from uuid import UUID

from marshmallow import Schema, fields, missing

from kit.rows import Shown

TEXT = {str}
MOST_SHAPES = 1024  # of the rows of one schema that are remembered

Fix = Callable[[Any, Any], Any]  # a value and its record to what is written


class Writer:
    """Writes the records of one schema."""

    def __init__(self, schema: Schema) -> None:
        self.schema = schema
        self.members = [(field.data_key or name, field.attribute or name, field) for name, field in _dumped(schema)]
        self.keys = [key for key, _, _ in self.members]
        read = [name for _, name, field in self.members if field._CHECK_ATTRIBUTE]
        # Where a field computes its value from the whole record, something has to stand in until it has done so.
        names = [name if field._CHECK_ATTRIBUTE else read[0] for _, name, field in self.members] if read else []
        self._is_usual = len(names) > 1 and not _is_special(schema, self.members)
        if self._is_usual:
            self._of_attributes, self._of_dictionary = attrgetter(*names), itemgetter(*names)
        self._shapes: dict[tuple[type, ...], list[tuple[str, Fix]]] = {}
        self._fixes: dict[tuple[str, type], Fix | None] = {}

    def many(self, records: Iterable[Any]) -> list[Any]:
        """All of them."""
        return [self.one(record) for record in records]

    def one(self, record: Any) -> Any:
        """What is to be written of a record: an object with attributes, or a mapping."""
        if not self._is_usual:
            return self.schema.dump(record)
        if not isinstance(record, Shown) and isinstance(record, Mapping):  # the latter takes its time
            return self._one_by_one(record, record.get)
        try:
            values = self._values(record)
        except AttributeError:
            return self._one_by_one(record, lambda name, default: getattr(record, name, default))
        shape = tuple(map(type, values))
        fixes = self._shapes.get(shape)
        if fixes is None:
            fixes = self._learn(shape)
        row = dict(zip(self.keys, values, strict=True))
        for key, fix in fixes:
            row[key] = fix(row[key], record)
        return row

    def _values(self, record: Any) -> Any:
        known = getattr(record, "__dict__", {})
        # A row of the ORM, whose attributes are slow, what they read is not; or a row that is only shown.
        if "_sa_instance_state" in known or isinstance(record, Shown):
            try:
                return self._of_dictionary(known)
            except KeyError:  # something is not loaded, or no column
                pass
        return self._of_attributes(record)

    def _one_by_one(self, record: Any, get: Callable[[str, Any], Any]) -> Any:
        row = {}
        for key, name, field in self.members:
            value = get(name, missing) if field._CHECK_ATTRIBUTE else None
            if value is missing and field.dump_default is not missing:
                return self.schema.dump(record)
            if value is not missing:
                fix = self._fix(key, name, field, type(value))
                row[key] = fix(value, record) if fix else value
        return row

    def _learn(self, shape: tuple[type, ...]) -> list[tuple[str, Fix]]:
        if len(self._shapes) >= MOST_SHAPES:
            self._shapes.clear()
        kinds = zip(self.members, shape, strict=True)
        found = [(key, self._fix(key, name, field, kind)) for (key, name, field), kind in kinds]
        self._shapes[shape] = [(key, fix) for key, fix in found if fix]
        return self._shapes[shape]

    def _fix(self, key: str, name: str, field: Any, kind: type) -> Fix | None:
        if (key, kind) not in self._fixes:
            self._fixes[key, kind] = _fix(name, field, kind)
        return self._fixes[key, kind]


def _dumped(schema: Schema) -> list[tuple[str, Any]]:
    return list(schema.dump_fields.items())


def _is_special(schema: Schema, members: list[tuple[str, str, Any]]) -> bool:
    """Whether a schema uses something that only marshmallow itself does right."""
    hooks = any(kind.endswith("_dump") for kind in schema._hooks)
    odd = any("." in name or hasattr(dict, name) for _, name, _ in members)
    return hooks or odd or schema.dict_class is not dict


def _fix(name: str, field: Any, kind: type) -> Fix | None:
    """What has to be done with a member's values of this type; None when orjson writes them as they are."""
    whole: Fix = lambda value, record: field._serialize(value, name, record)  # noqa: E731
    if not field._CHECK_ATTRIBUTE:
        return whole
    how = type(field)._serialize
    if how is fields.Field._serialize or kind in AS_THEY_ARE.get(how, ()):
        return None
    if isinstance(field, fields.Integer) and how is fields.Integer._serialize:
        return None if kind in (int, NoneType) and not field.as_string else whole
    if isinstance(field, fields.Date) and how is fields.Date._serialize:
        return None if kind in (date, NoneType) and field.format is None else whole
    if how is fields.List._serialize and kind is list:
        return _list(field, whole)
    if how is fields.Nested._serialize and not (field.many or field.schema.many):
        return None if kind is NoneType else _nested(field)
    if how is fields.Dict._serialize and kind is dict and field.value_field is None:
        return _dict(field, whole)
    return whole


def _list(field: Any, whole: Fix) -> Fix:
    if _is_text(field.inner):
        return lambda value, record: value if _all_text(value) else whole(value, record)
    if type(field.inner)._serialize is fields.Nested._serialize and not (field.inner.many or field.inner.schema.many):
        one = _nested(field.inner)
        return lambda value, record: [None if item is None else one(item, record) for item in value]
    return whole


def _dict(field: Any, whole: Fix) -> Fix | None:
    if field.key_field is None:
        return None
    if _is_text(field.key_field):
        return lambda value, record: value if _all_text(value) else whole(value, record)
    return whole


def _nested(field: Any) -> Fix:
    writer = Writer(field.schema)
    return lambda value, record: writer.one(value)


def _is_text(field: Any) -> bool:
    return field is not None and type(field)._serialize is fields.String._serialize


def _all_text(values: Collection[Any]) -> bool:
    return not values or set(map(type, values)) <= TEXT


def as_they_are(how: Any, *kinds: type) -> None:
    """Say that orjson writes None, and values of these types, as a field's `_serialize` would have written them."""
    AS_THEY_ARE[how] = (NoneType, *kinds)


AS_THEY_ARE: dict[Any, tuple[type, ...]] = {}
as_they_are(fields.String._serialize, str)
as_they_are(fields.UUID._serialize, UUID)
