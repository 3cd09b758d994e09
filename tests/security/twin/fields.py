"""Where ids are: found in the OpenAPI document, and each known by the kind of record that it names.

A schema says the kind with `x-tenant-resource`; most need not, because the models tell: `customer_id` names a row of
the table `customer`, and `parent_id` of product refers to its table `category`.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

from alicerce.services import services
from scripts.collection_files.plan import JSON, Operation
from tests.services.helpers import app_of

ANNOTATION = "x-tenant-resource"
# What a tenant's other systems call a record, which is searched for as a text; and the name of a member.
OUTSIDE = ("external_id", "id_property")
ITEM = "[]"
VALUE = "{}"

Schema = dict[str, Any]


@dataclass(frozen=True)
class Field:
    """An id in a document: the way to it (`[]` is an item of an array, `{}` a value of a map), and the kind of
    record that it names, empty when nobody knows."""

    service: str
    at: tuple[str, ...]
    kind: str

    @property
    def name(self) -> str:
        return next(step for step in reversed(self.at) if step not in (ITEM, VALUE))


def fields(document: Schema, schema: Schema, service: str, at: tuple[str, ...] = (), noun: str = "") -> Iterator[Field]:
    """Every id in what a schema describes."""
    if "$ref" in schema:
        noun = schema["$ref"].rpartition("/")[2]
        schema = document["components"]["schemas"][noun]
    if at and _is_id(schema, at):
        yield Field(service, at, _kind(schema, at, service, noun))
    for name, part in schema.get("properties", {}).items():
        yield from fields(document, _inherited(schema, part), service, (*at, name), noun)
    for key, step in (("items", ITEM), ("additionalProperties", VALUE)):
        if isinstance(schema.get(key), dict):
            yield from fields(document, _inherited(schema, schema[key]), service, (*at, step), noun)
    for part in (*schema.get("allOf", ()), *schema.get("anyOf", ()), *schema.get("oneOf", ())):
        yield from fields(document, part, service, at, noun)


def of_body(document: Schema, operation: Operation) -> list[Field]:
    """The ids in what an operation takes as its JSON body."""
    content = operation.told.get("requestBody", {}).get("content", {}).get(JSON, {})
    return list(fields(document, content.get("schema", {}), service_of(operation)))


def of_answers(document: Schema, operation: Operation) -> list[Field]:
    """The ids in what an operation answers with success."""
    told = [answer for status, answer in operation.told["responses"].items() if status.startswith("2")]
    schemas = [answer.get("content", {}).get(JSON, {}).get("schema", {}) for answer in told]
    return [field for schema in schemas for field in fields(document, schema, service_of(operation))]


def of_parameters(operation: Operation, place: str) -> list[Field]:
    """The ids among an operation's parameters in `path` or `query`."""
    service = service_of(operation)
    found = [one for one in operation.told.get("parameters", ()) if one["in"] == place]
    named = [(one, (one["name"],)) for one in found]
    return [
        Field(service, at, _kind(one | one["schema"], at, service, ""))
        for one, at in named
        if _is_id(one["schema"], at)
    ]


def service_of(operation: Operation) -> str:
    """The service that answers an operation."""
    return operation.id.partition(".")[0]


def values(body: Any, at: tuple[str, ...]) -> list[Any]:
    """What stands at such a place."""
    if not at:
        return [body]
    step, rest = at[0], at[1:]
    if step == ITEM:
        parts = body if isinstance(body, list) else []
    elif step == VALUE:
        parts = list(body.values()) if isinstance(body, dict) else []
    else:
        parts = [body[step]] if isinstance(body, dict) and step in body else []
    return [value for part in parts for value in values(part, rest)]


def placed(body: Any, at: tuple[str, ...], value: Any, key: str = "name") -> Any:
    """A copy of a body in which `value` stands at this place; in an array, beside what is there."""
    if not at:
        return value
    step, rest = at[0], at[1:]
    if step == ITEM:
        there = body if isinstance(body, list) else []
        return [*there, placed(there[0] if there and rest else None, rest, value)]
    there = body if isinstance(body, dict) else {}
    name = key if step == VALUE else step
    return there | {name: placed(there.get(name), rest, value)}


def _is_id(schema: Schema, at: tuple[str, ...]) -> bool:
    if schema.get("type") == "array" or "object" in schema.get("type", ()) or "properties" in schema:
        return False
    if "enum" in schema or at[-1] in OUTSIDE:
        return False
    return schema.get("format") == "uuid" or at[-1].endswith(("_id", "_ids", "_id]")) or at[-1].startswith("id_")


def _inherited(schema: Schema, part: Schema) -> Schema:
    """A list of ids says on itself what they name."""
    said = {ANNOTATION: schema[ANNOTATION]} if ANNOTATION in schema else {}
    return said | part


def _kind(schema: Schema, at: tuple[str, ...], service: str, noun: str) -> str:
    if ANNOTATION in schema:
        return str(schema[ANNOTATION])
    name = next(step for step in reversed(at) if step not in (ITEM, VALUE))
    if name == "id":
        return _of_noun(noun.partition(".")[2].removesuffix("Changes"), service)
    return _of_table(_bare(name), service) or references(service).get(_bare(name), "")


def _bare(name: str) -> str:
    """`filter[owner_id]` and `owner_id` and `id_owner` are all about an owner."""
    inner = re.sub(r"^filter\[(\w+)\].*", r"\1", name)
    return re.sub(r"_ids?$", "", inner).removeprefix("id_")


def _of_noun(noun: str, service: str) -> str:
    words = re.sub(r"(?<!^)(?=[A-Z])", " ", noun).lower().split()
    starts = ("_".join(words[:count]) for count in range(len(words), 0, -1))  # `InteractionTypeName` is of a type
    return next((table for start in starts if (table := _of_table(start, service))), "")


def _of_table(name: str, service: str) -> str:
    """The table of this name, or of this last part of a name in the service itself."""
    own = [table for table in tables(service) if table == name or table.endswith(f"_{name}")]
    return next((table for table in own), "") or next((name for one in services() if name in tables(one)), "")


@cache
def tables(service: str) -> tuple[str, ...]:
    """The names of a service's tables."""
    return tuple(app_of(service).db.metadata.tables)


@cache
def references(service: str) -> dict[str, str]:
    """`parent` → `category`: what the foreign keys of a service say about the columns that they are made of."""
    found = {}
    for table in app_of(service).db.metadata.tables.values():
        for key in table.foreign_keys:
            if key.parent.name not in ("tenant_id", "user_id"):
                found[_bare(key.parent.name)] = key.column.table.name
    return found
