"""The plan as an Insomnia export, format 4. Variables travel in the environment, as in Postman.

Insomnia's own `response` tags would not survive: an import gives every request a new id, and the tags keep the old one
(Kong/insomnia issues 6070 and 9162). The scripts need Insomnia 9.1 or newer.
"""

import re
from typing import Any

from scripts.collection_files import assertions
from scripts.collection_files.plan import Folder, Request, stable_id, variables
from scripts.collection_files.step import FRESH

FORMAT = 4
FRESH_UUID = "{% uuid 'v4' %}"

Json = dict[str, Any]


def export(title: str, about: str, base_url: str, folders: list[Folder]) -> Json:
    """The export: a workspace, its environment, a request group for each folder, and the requests in their order."""
    workspace = {
        "_id": f"wrk_{stable_id('insomnia').hex}",
        "_type": "workspace",
        "parentId": None,
        "name": title,
        "description": about,
        "scope": "collection",
    }
    environment = {
        "_id": f"env_{stable_id('insomnia environment').hex}",
        "_type": "environment",
        "parentId": workspace["_id"],
        "name": "Base Environment",
        "data": {"baseUrl": base_url, **dict.fromkeys(variables(folders), "")},
    }
    resources: list[Json] = [workspace, environment]
    for place, folder in enumerate(folders):
        group = _group(folder, place, str(workspace["_id"]))
        resources += [group, *(_request(one, order, group["_id"]) for order, one in enumerate(folder.requests))]
    return {"_type": "export", "__export_format": FORMAT, "__export_source": "alicerce", "resources": resources}


def _group(folder: Folder, place: int, workspace: str) -> Json:
    return {
        "_id": f"fld_{stable_id('insomnia', folder.name).hex}",
        "_type": "request_group",
        "parentId": workspace,
        "metaSortKey": place,
        "name": folder.name,
        "description": folder.about,
    }


def _request(request: Request, order: int, group: str) -> Json:
    shown: Json = {
        "_id": f"req_{stable_id('insomnia', request.name).hex}",
        "_type": "request",
        "parentId": group,
        "metaSortKey": order,
        "name": request.name,
        "description": request.about,
        "method": request.method,
        "url": _own("{{baseUrl}}" + request.path),
        "parameters": [{"name": name, "value": _own(value)} for name, value in request.query.items()],
        "headers": [{"name": name, "value": _own(value)} for name, value in request.headers.items()],
        "body": {"mimeType": request.headers["Content-Type"], "text": _own(request.body)} if request.body else {},
        "authentication": {"type": "bearer", "token": _own(f"{{{{{request.token}}}}}")} if request.token else {},
    }
    if request.expected:
        shown["afterResponseScript"] = "\n".join(assertions.lines("insomnia", request.expected))
    return shown


def _own(text: str) -> str:
    return re.sub(r"{{(\w+)}}", r"{{ _.\1 }}", text.replace(FRESH, FRESH_UUID))
