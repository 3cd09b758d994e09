"""Our way of writing JSON is marshmallow's, only faster."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st
from marshmallow import fields

from kit.blueprint import dumps
from kit.schema import Line, Moment, Prose, Schema

texts = st.none() | st.text(max_size=5)
moments = st.none() | st.datetimes(min_value=datetime(2000, 1, 1)).map(lambda moment: moment.replace(tzinfo=UTC))


class Thing:
    """What a model is to a schema: an object with attributes, some of which may be missing."""

    def __init__(self, **members: Any) -> None:
        self.__dict__.update(members)


class Part(Schema):
    name = Line()
    made_at = Moment()


class Whole(Schema):
    id = fields.UUID()
    name = Line()
    notes = Prose()
    renamed = fields.String(attribute="name", data_key="also_known_as", dump_only=True)
    count = fields.Integer()
    is_active = fields.Boolean()
    born_on = fields.Date()
    made_at = Moment()
    tags = fields.List(fields.String())
    custom = fields.Dict()
    part = fields.Nested(Part)
    parts = fields.List(fields.Nested(Part))
    absent = fields.String()
    fallback = fields.Integer(dump_default=7)
    shout = fields.Method("shouted")
    secret = fields.String(load_only=True)

    def shouted(self, thing: Any) -> str:
        return str(getattr(thing, "name", None)).upper()


parts = st.builds(Thing, name=texts, made_at=moments)
things = st.builds(
    Thing,
    id=st.none() | st.uuids(),
    name=texts,
    notes=texts,
    count=st.none() | st.integers(-(2**63), 2**63 - 1),
    is_active=st.none() | st.booleans(),
    born_on=st.none() | st.dates(),
    made_at=moments,
    tags=st.none() | st.lists(st.text(max_size=3), max_size=3),
    custom=st.none() | st.dictionaries(st.text(max_size=3), st.integers(0, 9), max_size=3),
    part=st.none() | parts,
    parts=st.lists(parts, max_size=3),
    secret=texts,
)


@given(st.lists(things, max_size=3), st.booleans())
def test_what_is_written_is_what_marshmallow_would_dump(rows: list[Thing], as_rows_of_the_orm: bool) -> None:
    if as_rows_of_the_orm:
        for row in rows:
            row.__dict__["_sa_instance_state"] = None
    for schema in (Whole(), Whole(exclude=("absent", "fallback"))):
        expected = dumps(schema.dump(rows, many=True))
        assert dumps(schema.writer.many(rows)) == expected
        assert dumps([schema.writer.one(row) for row in rows]) == expected


@given(st.fixed_dictionaries({}, optional={"name": texts, "made_at": moments}))
def test_a_dictionary_is_written_too(part: dict[str, Any]) -> None:
    assert dumps(Part().writer.one(part)) == dumps(Part().dump(part))
    whole = {"id": UUID(int=1), "part": part, "parts": [part]}
    assert dumps(Whole().writer.one(whole)) == dumps(Whole().dump(whole))


def test_values_of_other_types_than_a_column_has_are_written_by_marshmallow() -> None:
    thing = Thing(id="0", name=5, notes=True, count="7", tags=[1, None], custom={"a": UUID(int=1)})
    for schema in (Whole(only=("id", "name", "notes", "count", "tags", "custom")), Whole()):
        assert dumps(schema.writer.one(thing)) == dumps(schema.dump(thing))
