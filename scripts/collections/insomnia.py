"""The plan as an Insomnia export, format 4. What a request needs of an earlier answer is a `response` tag in it."""

import base64
import re
from typing import Any

from scripts.collections import assertions
from scripts.collections.plan import Folder, Request
from scripts.collections.postman import stable_id

FORMAT = 4
FRESH_UUID = "{% uuid 'v4' %}"
# Insomnia sends the earlier request by itself when it has no answer yet.
WHEN = "'no-history', 60"

Json = dict[str, Any]
Kept = dict[str, tuple[str, str]]  # variable: the request whose answer holds it, and its path there


def export(title: str, about: str, base_url: str, folders: list[Folder]) -> Json:
    """The export: a workspace, its environment, a request group for each folder, and the requests in their order."""
    workspace = f"wrk_{stable_id('insomnia').hex}"
    kept: Kept = {}
    resources: list[Json] = [
        {
            "_id": workspace,
            "_type": "workspace",
            "parentId": None,
            "name": title,
            "description": about,
            "scope": "collection",
        }
    ]
    for place, folder in enumerate(folders):
        group = f"fld_{stable_id('insomnia', folder.name).hex}"
        resources.append(
            {
                "_id": group,
                "_type": "request_group",
                "parentId": workspace,
                "name": folder.name,
                "description": folder.about,
                "metaSortKey": place,
            }
        )
        for order, request in enumerate(folder.requests):
            resources.append(_request(request, group, order, kept))
            if request.expected:
                kept |= {name: (_id(request), path) for name, path in request.expected.keeps.items()}
    return {
        "_type": "export",
        "__export_format": FORMAT,
        "__export_source": "alicerce",
        "resources": [*resources, _environment(workspace, base_url, folders, kept)],
    }


def _environment(workspace: str, base_url: str, folders: list[Folder], kept: Kept) -> Json:
    """The address, and what examples need that the story never fills."""
    names = set(re.findall(r"{{(\w+)}}", str([folder.requests for folder in folders]))) - kept.keys() - {"random"}
    return {
        "_id": f"env_{stable_id('insomnia environment').hex}",
        "_type": "environment",
        "parentId": workspace,
        "name": "Base Environment",
        "data": {"baseUrl": base_url, **dict.fromkeys(sorted(names), "")},
    }


def _id(request: Request) -> str:
    return f"req_{stable_id('insomnia', request.name).hex}"


def _request(request: Request, group: str, order: int, kept: Kept) -> Json:
    def own(text: str) -> str:
        return re.sub(r"{{(\w+)}}", lambda found: _tag(found[1], kept), text)

    shown: Json = {
        "_id": _id(request),
        "_type": "request",
        "parentId": group,
        "metaSortKey": order,
        "name": request.name,
        "description": request.about,
        "method": request.method,
        "url": "{{ _.baseUrl }}" + own(request.path),
        "parameters": [{"name": name, "value": own(value)} for name, value in request.query.items()],
        "headers": [{"name": name, "value": own(value)} for name, value in request.headers.items()],
        "body": {"mimeType": request.headers["Content-Type"], "text": own(request.body)} if request.body else {},
        "authentication": {"type": "bearer", "token": own(f"{{{{{request.token}}}}}")} if request.token else {},
    }
    if request.expected:
        shown["afterResponseScript"] = "\n".join(assertions.lines("insomnia", request.expected))
    return shown


def _tag(name: str, kept: Kept) -> str:
    if name == "random":
        return FRESH_UUID
    if name not in kept:
        return f"{{{{ _.{name} }}}}"
    request, path = kept[name]
    filter = base64.b64encode(f"$.{path}".encode()).decode()
    return f"{{% response 'body', '{request}', 'b64::{filter}::46b', {WHEN} %}}"
