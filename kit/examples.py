"""Examples of JSON, made from the schemas of an OpenAPI document.

A schema of ours says with `example` how one of its records looks; its members then carry it as `examples`. What says
nothing gets a value of its kind, and a name that is the same everywhere (`version`, `created_at`) gets the same one.
"""

from typing import Any

from kit.pages import PER_PAGE

ID = "0197a3c0-7f10-7c3e-9d55-3f6f2f6a1b2d"
MADE_UP: dict[str, Any] = {
    "uuid": ID,
    "date": "2026-01-31",
    "date-time": "2026-01-31T12:00:00Z",
    "email": "ana@example.com",
    "currency": "BRL",
    "message": "Done.",
    "page": 1,
    "per_page": PER_PAGE,
}
MADE_UP_PASSWORD = "correct horse battery staple"  # noqa: S105 - nobody's

Schema = dict[str, Any]


def example(schema: Schema, components: dict[str, Any], name: str = "", *, answered: bool = False) -> Any:
    """A value that a schema takes. `name` is the member's.

    What is sent holds what is required and what says how it looks; what is `answered` holds every member.
    """
    if "$ref" in schema:
        return example(components["schemas"][schema["$ref"].rpartition("/")[2]], components, name, answered=answered)
    if schema.get("examples") or "example" in schema:
        return schema["example"] if "example" in schema else schema["examples"][0]
    if answered and may_be_null(schema):
        return None
    if "enum" in schema:
        return schema["enum"][0]
    kinds = schema.get("type", "string")
    kind = kinds if isinstance(kinds, str) else kinds[0]
    if kind == "object":
        return _object(schema, components, answered=answered)
    if kind == "array":
        return [example(schema.get("items", {}), components, name, answered=answered)]
    return _scalar(schema, kind, name)


def may_be_null(schema: Schema) -> bool:
    """Whether null is among the types of a schema."""
    return "null" in schema.get("type", ()) or {"type": "null"} in schema.get("anyOf", ())


def _object(schema: Schema, components: dict[str, Any], *, answered: bool) -> dict[str, Any]:
    members = schema.get("properties", {})
    if answered:
        kept = {key: part for key, part in members.items() if not part.get("writeOnly")}
        return {key: example(part, components, key, answered=True) for key, part in kept.items()}
    writable = {key: part for key, part in members.items() if not part.get("readOnly")}
    required = [key for key in schema.get("required", ()) if key in writable]
    shown = {key: example(writable[key], components, key) for key in required}
    for key, part in writable.items():
        # The same value twice is the same thing under an older name.
        if part.get("examples") and key not in shown and part["examples"][0] not in shown.values():
            shown[key] = part["examples"][0]
    return shown or {key: example(part, components, key) for key, part in [*writable.items()][:1]}


def _scalar(schema: Schema, kind: str, name: str) -> Any:
    if kind in ("integer", "number"):
        return MADE_UP.get(name, max(1, schema.get("minimum", 1)))
    if kind == "boolean":
        return True
    if schema.get("writeOnly"):
        return MADE_UP_PASSWORD
    for word in (schema.get("format"), name):
        if word in MADE_UP:
            return MADE_UP[word]
    text = name or "text"
    return text if "pattern" in schema else text.replace("_", " ").capitalize()
