"""What the merged OpenAPI document says can be done, and records to do it to: attacks find their targets here."""

import re
import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from importlib import import_module
from typing import Any

from tests.api import Answer, Api, Person, add_member, new_person

JSON = "application/json"
KEY = "Idempotency-Key"
METHODS = ("get", "post", "put", "patch", "delete")

Json = dict[str, Any]


@dataclass(frozen=True)
class Operation:
    """One public operation, as the document tells of it."""

    method: str
    path: str
    told: Json = field(repr=False, hash=False, compare=False)
    components: Json = field(repr=False, hash=False, compare=False)

    def __str__(self) -> str:
        return f"{self.method} {self.path}"

    @property
    def service(self) -> str:
        return str(self.told["operationId"]).partition(".")[0]

    @property
    def parameters(self) -> list[str]:
        """The names of the ids in its address."""
        return re.findall(r"{(\w+)}", self.path)

    @property
    def takes_json(self) -> bool:
        return JSON in self.told.get("requestBody", {}).get("content", {})

    @property
    def creates(self) -> bool:
        return self.method == "POST" and not {"201", "202"}.isdisjoint(self.told["responses"])

    def has_header(self, name: str) -> bool:
        return any(part["name"] == name for part in self.told.get("parameters", []) if part["in"] == "header")

    @property
    def example(self) -> Json:
        """The body that the document shows."""
        return dict(self.told["requestBody"]["content"][JSON]["example"])

    @property
    def body_name(self) -> str:
        """The name of the schema of its body: `customer.CustomerChanges`."""
        return str(self.told["requestBody"]["content"][JSON]["schema"]["$ref"]).rpartition("/")[2]

    @cached_property
    def body(self) -> Json:
        """The schema of its body."""
        return dict(self.components["schemas"][self.body_name])

    def members(self, *, read_only: bool) -> dict[str, Json]:
        """The members of the body that a client may not write, or those that it may."""
        return {name: part for name, part in self.body["properties"].items() if bool(part.get("readOnly")) == read_only}

    @property
    def least(self) -> Json:
        """The smallest body that it takes: what is required, as the example shows it."""
        return {name: value for name, value in self.example.items() if name in self.body.get("required", ())}


@lru_cache(maxsize=1)
def operations(target: Any) -> list[Operation]:
    """Every operation of the merged document."""
    document = Api(target).get("/openapi.json").ok()
    return [
        Operation(method.upper(), path, told, document["components"])
        for path, item in document["paths"].items()
        for method, told in item.items()
        if method in METHODS
    ]


def record_in(body: Any) -> Json:
    """The record inside an envelope: the first member that is an object; else the whole body."""
    records = [part for part in body.values() if isinstance(part, dict)]
    return records[0] if records else dict(body)


def is_free_text(name: str, part: Json) -> bool:
    """Whether a member of a body may end in any letters."""
    kinds = part.get("type", ())
    is_reference = name.startswith("id_") or name.endswith("_id")
    return "string" in kinds and not is_reference and not {"enum", "format"} & part.keys()


def model_of(operation: Operation) -> Any:
    """The model whose columns the body of an operation fills; None for a body that is no record."""
    service, _, name = operation.body_name.partition(".")
    schema = getattr(import_module(f"services.{service}.schemas"), name.removesuffix("Changes"), None)
    return getattr(getattr(schema, "Meta", None), "model", None)


class World:
    """A person who owns a new tenant, and makes in it what an operation needs, by what the document says."""

    def __init__(self, target: Any, found: list[Operation]) -> None:
        self.target, self.found = target, found
        self.person: Person = new_person(target)

    def fresh(self, parameters: list[str], path: str) -> dict[str, str]:
        """New records for the ids in an address, each made inside the one before it."""
        ids: dict[str, str] = {"tenant_id": self.person.tenant_id}
        for name in parameters:
            if name not in ids:
                ids[name] = self.make(path.partition("/{" + name + "}")[0], ids)
        return {name: ids[name] for name in parameters}

    def address(self, operation: Operation) -> str:
        """The operation's address, leading to new records."""
        return operation.path.format(**self.fresh(operation.parameters, operation.path))

    def make(self, collection: str, ids: dict[str, str]) -> str:
        """Make a record in a collection; its id."""
        if collection.endswith("/members"):  # by consent, which is no single request
            return add_member(self.person, "member").user_id
        if collection.endswith("/offers"):
            return self.offer(to_oneself=collection == "/api/tenants/offers")
        (maker,) = [one for one in self.found if one.creates and collection in (one.path, one.path + "s")]
        address = maker.path.format(**ids)
        answer = self.call(maker, address)
        if answer.status == 422:  # more is needed than is required of every kind
            answer = self.call(maker, address, maker.example)
        assert answer.status in (201, 202), (maker, answer)
        record = record_in(answer.json)
        return str(record["id"])

    def offer(self, *, to_oneself: bool) -> str:
        """Make an offer of a membership, to this person or by it; its id."""
        other = new_person(self.target)
        manager, person = (other, self.person) if to_oneself else (self.person, other)
        answer = manager.post(f"/api/tenants/{manager.tenant_id}/members", {"email": person.email})
        return str(answer.ok(202)["offer"]["id"])

    def call(self, operation: Operation, address: str, body: Any = None, **headers: str) -> Answer:
        """Do it once: with a small body that it takes when none is given, and a new key where keys are taken."""
        sent = ({KEY: secrets.token_hex(8)} if operation.has_header(KEY) else {}) | headers
        if operation.takes_json:
            chosen = self.body_of(operation) if body is None else body
            return self.person.request(operation.method, address, chosen, headers=sent)
        if "requestBody" in operation.told:
            file = {"data": b"name\nAna\n", "headers": {"Content-Type": "text/csv"} | sent}
            return self.person.request(operation.method, address, **file)
        return self.person.request(operation.method, address, headers=sent)

    def body_of(self, operation: Operation) -> Json:
        """A small body that names people who are there, and clashes with no record that is there."""
        members = operation.members(read_only=False)
        if {"email", "role"} <= members.keys():
            return {"email": new_person(self.target).email}
        body = operation.least or operation.example
        if not operation.creates:
            return body
        end = secrets.token_hex(3)
        return {name: f"{value}{end}" if is_free_text(name, members[name]) else value for name, value in body.items()}


def walk(part: Any) -> Iterator[Json]:
    """Every object inside a document."""
    if isinstance(part, dict):
        yield part
        part = list(part.values())
    if isinstance(part, list):
        for inner in part:
            yield from walk(inner)
