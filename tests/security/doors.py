"""Every route there is, found in the apps and in the gateway's table, and a way to knock at it in this process."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from alicerce.services import services
from gateway import routes as table
from kit import errors, transport
from kit.app import BARE
from kit.identity import Access
from tests.services.helpers import app_of

ID = "0197a3c0-0000-7000-8000-000000000001"
GATE = ""  # the service of a door that is the gateway's own


@dataclass(frozen=True, slots=True)
class Door:
    """One route: of a service directly (`access` says whom it takes), or of the gateway (`is_open` says it)."""

    service: str
    method: str
    path: str
    access: Access
    app: Callable[..., Any]

    @property
    def is_open(self) -> bool:
        """Whether it answers nobody in particular."""
        return self.access.kind == "public" or self.access.visitors

    def knock(self, headers: dict[str, str], query: str = "") -> transport.Answer:
        """Its answer to a request with these headers and no body."""
        environ = transport.environ(self.method, self.path + query, headers.items(), b"")
        return transport.call(self.app, environ | {"HTTP_HOST": "test"})


def services_doors(*kinds: str, id: str = ID) -> list[Door]:
    """The routes of these kinds of access (person, internal, public) of every service; every id in a path is `id`."""
    found = []
    for service in services():
        app = app_of(service)
        for rule in app.url_map.iter_rules():
            access = getattr(app.view_functions[rule.endpoint], "access", None)
            if rule.endpoint in BARE or access is None or access.kind not in kinds:
                continue
            path = rule.rule
            for argument in rule.arguments:
                path = path.replace(f"<uuid:{argument}>", id)
            assert "<" not in path, f"teach this module to fill {path}"
            found += [Door(service, method, path, access, app) for method in sorted(rule.methods - {"OPTIONS"})]
    return found


def gateway_doors(gateway: Callable[..., Any], id: str = ID, *, aliases: bool = True) -> list[Door]:
    """Every public operation under every prefix, or under its first."""
    return [
        Door(
            GATE,
            operation.method,
            (operation.prefix + operation.path).replace("<id>", id),
            Access("public" if operation.mark == table.OPEN else "person", visitors=operation.mark == table.OPTIONAL),
            gateway,
        )
        for operation in table.operations()
        if aliases or operation.prefix == operation.door.prefixes[0]
    ]


def is_problem(door: Door, answer: transport.Answer) -> bool:
    """Whether a refusal is a problem document (RFC 9457) that says its own status."""
    content_type = dict(answer.headers).get("Content-Type")
    if content_type != errors.CONTENT_TYPE or door.method == "HEAD":
        return content_type == errors.CONTENT_TYPE
    document = json.loads(answer.body)
    return bool(document["status"] == answer.status and document["code"] and document["request_id"])


def essence(answer: transport.Answer) -> tuple[int, Any]:
    """An answer without what differs from request to request."""
    try:
        body = json.loads(answer.body)
    except ValueError:
        return answer.status, answer.body
    if isinstance(body, dict):
        body.pop("request_id", None)
    return answer.status, body
