"""A tenant with a story: everything that the collections tell, told through the gateway, with a canary in each text."""

import json
import re
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlencode

from werkzeug.test import Client

from alicerce.services import services
from scripts.collection_files.plan import JSON, Operation, Request, operations, plan
from scripts.collection_files.step import FRESH, Chapter
from scripts.collection_files.story import CHAPTERS, ending
from scripts.collection_files.story.people import NEW_PASSWORD
from tests.api import PEER, Api, Person, new_person
from tests.security.twin import fields
from tests.services.helpers import app_of, drain, unreachable

CANARY = re.compile(r"cnry[0-9a-f]{32}")
WORDY = re.compile("[a-z]{2}")
WORDS = re.compile(r"{{(\w+)}}")
FIRST_CELL = re.compile(r"(?<=\n)([^;,\n]+)")  # of a line of a CSV file, but for its head
KEY = "Idempotency-Key"
DENIED = 400


@dataclass(frozen=True)
class Sent:
    """A request as it went to the gateway."""

    method: str
    path: str
    query: dict[str, str] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    body: Any = None  # JSON; or a text, for anything else

    def to(self, platform: Any, token: str = "") -> "Told":
        """Send it; what was answered, down to the bytes."""
        headers = ({"Authorization": f"Bearer {token}"} if token else {}) | self.headers
        data = self.body if self.body is None or isinstance(self.body, str) else json.dumps(self.body)
        if data is not None:
            headers = {"Content-Type": JSON} | headers
        path = f"{self.path}?{urlencode(self.query, quote_via=quote)}" if self.query else self.path
        answer = Client(platform).open(
            path, method=self.method, headers=headers, data=data, buffered=True, environ_base=PEER
        )
        return Told(answer.status, list(answer.headers), answer.get_data(as_text=True))


@dataclass(frozen=True)
class Told:
    """An answer: status line, headers, and the body as a text."""

    status_line: str
    headers: list[tuple[str, str]]
    body: str

    @property
    def status(self) -> int:
        return int(self.status_line.split()[0])

    @property
    def json(self) -> Any:
        return json.loads(self.body) if self.body[:1] == "{" else None

    def __str__(self) -> str:
        return "\n".join([self.status_line, *(f"{name}: {value}" for name, value in self.headers), self.body])


@dataclass
class World:
    """A tenant: its canary, what its story sent last to each operation, and the ids of its records by kind."""

    document: dict[str, Any]
    platform: Any
    canary: str = field(default_factory=lambda: f"cnry{secrets.token_hex(16)}")
    variables: dict[str, str] = field(default_factory=dict)
    sent: dict[str, Sent] = field(default_factory=dict)
    statuses: list[tuple[str, int]] = field(default_factory=list)
    ids: dict[str, list[str]] = field(default_factory=dict)
    guest: tuple[Person, ...] = ()  # somebody who works for another tenant too: with a token for it, and for this one
    tokens: dict[str, str] = field(default_factory=dict)  # who sent what, by the name of the token
    spent: set[str] = field(default_factory=set)  # keys of the other tenant that are ours, too, by now
    fixed: set[str] = field(init=False)  # words that a schema prescribes

    def __post_init__(self) -> None:
        self.fixed = set(_prescribed(self.document))

    @property
    def owner(self) -> Person:
        """The first person of this tenant."""
        known = self.variables
        return Person(
            self.platform,
            known["email"],
            known["ownerId"],
            known["tenantId"],
            known["accessToken"],
            known["refreshToken"],
            NEW_PASSWORD,
        )

    def again(self, operation: Operation) -> Told:
        """Send what the story sent last to an operation once more, as whoever sent it."""
        return self.sent[operation.id].to(self.platform, self.variables.get(self.tokens[operation.id], ""))

    def tell(self) -> Iterator[tuple[str, Told]]:
        """Tell the story, a request at a time: operation and answer. People do not leave at its end."""
        yield from self.chapters([chapter for chapter in CHAPTERS if chapter not in ending.CHAPTERS])
        for name in services():
            if hasattr(app_of(name), "db"):
                drain(name)
        self._widen()

    def chapters(self, some: Sequence[Chapter]) -> Iterator[tuple[str, Told]]:
        """Tell some chapters, without what the story is refused."""
        known = operations(self.document)
        for folder in plan(self.document, some):
            for request in folder.requests:
                if request.expected and request.expected.status < DENIED:
                    yield request.operation, self._told(known[request.operation], request)

    def _widen(self) -> None:
        """What the story does not tell, or takes back."""
        api = Api(self.platform, self.variables["accessToken"])
        catalogue = api.put("/api/products/catalogue", {"is_public": True}).ok()
        self.variables["publishableKey"] = catalogue["catalogue"]["publishable_key"]
        parts = [{"product_id": self.variables["productId"], "quantity": 2}]
        bundle = {"name": f"Bundle {self.canary}", "kind": "bundle", "price": "9.00", "components": parts}
        self.ids["product"].append(api.post("/api/products/", bundle).ok(201)["product"]["id"])
        owner = {"name": f"Owned {self.canary}", "owner_id": self.variables["ownerId"]}
        api.post("/api/customers/", owner).ok(201)
        forgotten = api.post("/api/customers/", {"name": f"Forgotten {self.canary}"}).ok(201)["customer"]["id"]
        with unreachable("interaction"):  # so that a fact waits for its delivery
            api.post(f"/api/customers/{forgotten}/erase").ok()
        somebody = new_person(self.platform)
        offer = api.post(f"/api/tenants/{self.variables['tenantId']}/members", {"email": somebody.email}).ok(202)
        somebody.post(f"/api/tenants/offers/{offer['offer']['id']}/decline").ok()
        branch = {"name": f"Branch {self.canary}"}
        api.post("/api/tenants/", branch, headers={KEY: self.canary}).ok(201)

    def _told(self, operation: Operation, request: Request) -> Told:
        body = self._body(request)
        texts = list(_texts(body, self.fixed))
        while True:
            # A text that has to be what it is, such as a code, goes back to what the story says.
            sent = self._sent(operation, request, _marked(body, texts, self.canary))
            answer = sent.to(self.platform, self.variables.get(request.token, ""))
            if answer.status < DENIED or not texts:
                break
            named = set((answer.json or {}).get("errors") or ())
            left = [at for at in texts if not named & {str(step) for step in at}]
            texts = left if len(left) < len(texts) else []
        self._learn(operation, request, sent, answer)
        return answer

    def _sent(self, operation: Operation, request: Request, body: Any) -> Sent:
        keyed = {KEY: FRESH} if any(one["name"] == KEY for one in operation.told.get("parameters", ())) else {}
        filled = {name: self._filled(value) for name, value in (keyed | request.headers).items()}
        query = {name: self._filled(value) for name, value in request.query.items()}
        return Sent(request.method, self._filled(request.path), query, filled, body)

    def _body(self, request: Request) -> Any:
        text = self._filled(request.body)
        if not text:
            return None
        return json.loads(text) if text[:1] in "{[" else FIRST_CELL.sub(rf"\1 {self.canary}", text)

    def _filled(self, text: str) -> str:
        new = text.replace(FRESH, self.canary + secrets.token_hex(4))
        return WORDS.sub(lambda word: self.variables[word[1]], new)

    def _learn(self, operation: Operation, request: Request, sent: Sent, answer: Told) -> None:
        self.statuses.append((request.name, answer.status))
        if answer.status >= DENIED:
            return
        self.sent[operation.id], self.tokens[operation.id] = sent, request.token
        for name, way in request.expected.keeps.items() if request.expected else ():
            value = answer.json
            for step in re.findall(r"[^.\[\]]+", way):
                value = value[int(step)] if isinstance(value, list) else value[step]
            self.variables[name] = str(value)
        for place in fields.of_answers(self.document, operation):
            for value in fields.values(answer.json, place.at):
                if place.kind and isinstance(value, str) and value not in self.ids.setdefault(place.kind, []):
                    self.ids[place.kind].append(value)


def told(document: dict[str, Any], platform: Any) -> World:
    """A new tenant, with its whole story."""
    world = World(document, platform)
    for _ in world.tell():
        pass
    return world


def _prescribed(schema: Any) -> Iterator[str]:
    parts = schema.values() if isinstance(schema, dict) else schema if isinstance(schema, list) else ()
    if isinstance(schema, dict) and isinstance(schema.get("enum"), list):
        yield from (word for word in schema["enum"] if isinstance(word, str))
    for part in parts:
        yield from _prescribed(part)


def _texts(body: Any, fixed: set[str], at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where texts stand in a body that could hold a canary: not what is an id, a number or a secret."""
    parts = body.items() if isinstance(body, dict) else enumerate(body) if isinstance(body, list) else ()
    for step, part in parts:
        if not isinstance(part, str):
            yield from _texts(part, fixed, (*at, step))
        elif "password" not in str(step) and WORDY.search(part) and not CANARY.search(part) and part not in fixed:
            yield (*at, step)


def _marked(body: Any, texts: list[tuple[Any, ...]], canary: str, at: tuple[Any, ...] = ()) -> Any:
    if isinstance(body, dict):
        return {step: _marked(part, texts, canary, (*at, step)) for step, part in body.items()}
    if isinstance(body, list):
        return [_marked(part, texts, canary, (*at, step)) for step, part in enumerate(body)]
    if at not in texts:
        return body
    return f"{canary}.{body}" if "@" in body else f"{body} {canary}"
