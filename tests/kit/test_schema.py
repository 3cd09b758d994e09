"""Our way of writing JSON is marshmallow's, only faster."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import marshmallow
from hypothesis import given
from hypothesis import strategies as st
from marshmallow import fields

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
    count=st.none() | st.integers(),
    is_active=st.none() | st.booleans(),
    born_on=st.none() | st.dates(),
    made_at=moments,
    tags=st.none() | st.lists(st.text(max_size=3), max_size=3),
    custom=st.none() | st.dictionaries(st.text(max_size=3), st.integers(), max_size=3),
    part=st.none() | parts,
    parts=st.lists(parts, max_size=3),
    secret=texts,
)


@given(st.lists(things, max_size=3))
def test_a_dump_is_what_marshmallow_would_dump(rows: list[Thing]) -> None:
    schema = Whole()
    expected = [marshmallow.Schema._serialize(schema, row) for row in rows]
    assert schema.dump(rows, many=True) == expected
    assert [schema.dump(row) for row in rows] == expected


def test_a_dictionary_is_dumped_too() -> None:
    key = UUID(int=1)
    assert Whole(only=("id", "name")).dump({"id": key, "name": "x"}) == {"id": str(key), "name": "x"}
