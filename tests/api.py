"""How tests speak to the platform: one small client for the gateway in this process and for a running one."""

import secrets
from dataclasses import dataclass, field
from typing import Any

import requests
from werkzeug.test import Client

PEER = {"REMOTE_ADDR": "127.0.0.1"}
PASSWORD = "correct horse battery"


@dataclass
class Answer:
    """An answer: status code, headers (any case), and the JSON body."""

    status: int
    headers: Any
    json: Any

    def problem(self, status: int, code: str) -> dict[str, Any]:
        """Assert that this is a well-formed problem document with this status and code; return it."""
        assert self.status == status, (self.status, self.json)
        assert self.headers["Content-Type"] == "application/problem+json"
        assert self.json["status"] == status
        assert self.json["code"] == code, self.json
        assert self.json["message"] == self.json["detail"]
        assert self.json["request_id"]
        return self.json

    def ok(self, status: int = 200) -> Any:
        """Assert success; return the JSON body."""
        assert self.status == status, (self.status, self.json)
        return self.json


class Api:
    """Requests to a WSGI app in this process, or to a base URL; with an access token or without."""

    def __init__(self, target: Any, token: str | None = None) -> None:
        self.target, self.token = target, token

    def request(self, method: str, path: str, json: Any = None, headers: Any = None, data: Any = None) -> Answer:
        sent = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        sent |= headers or {}
        if isinstance(self.target, str):
            response = requests.request(
                method, self.target + path, json=json, data=data, headers=sent, timeout=15, allow_redirects=False
            )
            is_json = "json" in response.headers.get("Content-Type", "") and response.content
            return Answer(response.status_code, response.headers, response.json() if is_json else response.text)
        answer = Client(self.target).open(
            path, method=method, json=json, data=data, headers=sent, buffered=True, environ_base=PEER
        )
        body = answer.json if answer.is_json and answer.data else answer.text
        return Answer(answer.status_code, answer.headers, body)

    def get(self, path: str, **options: Any) -> Answer:
        return self.request("GET", path, **options)

    def post(self, path: str, json: Any = None, **options: Any) -> Answer:
        return self.request("POST", path, json, **options)

    def put(self, path: str, json: Any = None, **options: Any) -> Answer:
        return self.request("PUT", path, json, **options)

    def patch(self, path: str, json: Any = None, **options: Any) -> Answer:
        return self.request("PATCH", path, json, **options)

    def delete(self, path: str, **options: Any) -> Answer:
        return self.request("DELETE", path, **options)


@dataclass
class Person(Api):
    """Somebody who is logged in, in a tenant of their own."""

    target: Any
    email: str
    user_id: str
    tenant_id: str
    token: str
    refresh_token: str
    password: str = field(default=PASSWORD, repr=False)

    def login(self, tenant_id: str | None = None) -> "Person":
        """The same person in a new session."""
        body = {"email": self.email, "password": self.password} | ({"tenant_id": tenant_id} if tenant_id else {})
        return _person(self.target, self.email, Api(self.target).post("/auth/login", body).ok(), self.password)


def new_person(target: Any, **fields: Any) -> Person:
    """Register somebody nobody has heard of, and log them in."""
    email = fields.pop("email", f"p{secrets.token_hex(6)}@example.com")
    api = Api(target)
    api.post("/auth/register", {"email": email, "password": PASSWORD, "name": "Person", **fields}).ok(201)
    return _person(target, email, api.post("/auth/login", {"email": email, "password": PASSWORD}).ok(), PASSWORD)


def _person(target: Any, email: str, grant: Any, password: str) -> Person:
    return Person(
        target=target,
        email=email,
        user_id=grant["user"]["id"],
        tenant_id=grant["tenant_id"],
        token=grant["access_token"],
        refresh_token=grant["refresh_token"],
        password=password,
    )


def join(owner: Person, person: Person, role: str = "member") -> Person:
    """Make a person a member of the owner's tenant: asked, accepted, and logged in there."""
    path = f"/api/tenants/{owner.tenant_id}/members"
    body = {"email": person.email, "role": "admin" if role == "owner" else role}  # nobody is asked to be an owner
    offer = owner.post(path, body).ok(202)["offer"]
    person.post(f"/api/tenants/offers/{offer['id']}/accept").ok()
    if role == "owner":
        owner.put(f"{path}/{person.user_id}", {"role": role}).ok()
    return person.login(owner.tenant_id)


def add_member(owner: Person, role: str) -> Person:
    """A new person who works in the owner's tenant, in this role."""
    return join(owner, new_person(owner.target), role)
