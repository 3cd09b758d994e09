"""The plan as a Postman collection, format 2.1.0, and its environment. Variables travel in the environment."""

from typing import Any

from scripts.collection_files import assertions
from scripts.collection_files.plan import Folder, Request, stable_id, variables
from scripts.collection_files.step import DEFAULT_TOKEN, FRESH

SCHEMA = "https://schema.getpostman.com/json/collection/v2.1.0/collection.json"
FRESH_UUID = "{{$guid}}"

Json = dict[str, Any]


def collection(title: str, about: str, folders: list[Folder]) -> Json:
    """The collection: an item group for each folder; bearer authentication wherever a request says nothing else."""
    return {
        "info": {"_postman_id": str(stable_id("postman")), "name": title, "description": about, "schema": SCHEMA},
        "auth": _bearer(DEFAULT_TOKEN),
        "item": [
            {
                "id": str(stable_id("postman", folder.name)),
                "name": folder.name,
                "description": folder.about,
                "item": [_item(request) for request in folder.requests],
            }
            for folder in folders
        ],
    }


def environment(title: str, base_url: str, folders: list[Folder]) -> Json:
    """The environment: the address, and every variable that a request fills or needs, empty."""
    values = [{"key": "baseUrl", "value": base_url, "type": "default", "enabled": True}]
    for name in variables(folders):
        kind = "secret" if name.lower().endswith("token") else "default"
        values.append({"key": name, "value": "", "type": kind, "enabled": True})
    scope = {"_postman_variable_scope": "environment"}
    return {"id": str(stable_id("postman environment")), "name": title, "values": values, **scope}


def _item(request: Request) -> Json:
    item: Json = {
        "id": str(stable_id("postman", request.name)),
        "name": request.name,
        "request": _request(request),
        "response": [],
    }
    if request.expected:
        script = {"type": "text/javascript", "exec": assertions.lines("pm", request.expected)}
        item["event"] = [{"listen": "test", "script": script}]
    return item


def _request(request: Request) -> Json:
    shown: Json = {
        "method": request.method,
        "description": request.about,
        "header": [{"key": name, "value": _own(value)} for name, value in request.headers.items()],
        "url": _url(request),
    }
    if request.token != DEFAULT_TOKEN:
        shown["auth"] = _bearer(request.token) if request.token else {"type": "noauth"}
    if request.body:
        language = "json" if "json" in request.headers["Content-Type"] else "text"
        options = {"raw": {"language": language}}
        shown["body"] = {"mode": "raw", "raw": _own(request.body), "options": options}
    return shown


def _url(request: Request) -> Json:
    query = [{"key": name, "value": _own(value)} for name, value in request.query.items()]
    raw = f"{{{{baseUrl}}}}{request.path}"
    if query:
        raw += "?" + "&".join(f"{one['key']}={one['value']}" for one in query)
    url: Json = {"raw": raw, "host": ["{{baseUrl}}"], "path": request.path.strip("/").split("/")}
    return url | ({"query": query} if query else {})


def _bearer(name: str) -> Json:
    return {"type": "bearer", "bearer": [{"key": "token", "value": f"{{{{{name}}}}}", "type": "string"}]}


def _own(text: str) -> str:
    return text.replace(FRESH, FRESH_UUID)
