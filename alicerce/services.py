"""Which services there are, where they listen, and which of them still need a database from us."""

import ast
import os
import re
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path

from dotenv import dotenv_values

from kit.config import ConfigurationError, lookup, setting

ROOT = Path(__file__).resolve().parent.parent
DATABASE_VARIABLE = re.compile(r"(?:(?P<noun>[A-Z]+)_SERVICE_)?DATABASE_(?P<role>[A-Z]+_)?URL")


def port_number(text: str) -> int:
    """Read a TCP port."""
    number = int(text) if text.isascii() and text.isdigit() else 0
    if not 0 < number < 65536:
        raise ValueError("use a port from 1 to 65535")
    return number


GATEWAY_PORT = setting("GATEWAY_PORT", 8080, "Port of the gateway, the only public door.", port_number)


def services() -> tuple[str, ...]:
    """The nouns of all services, sorted: every folder of `services/` that has an `app.py`."""
    return tuple(sorted(path.parent.name for path in (ROOT / "services").glob("*/app.py")))


def ports() -> dict[str, int]:
    """The port of the gateway and of every service; `<NOUN>_SERVICE_PORT` overrides what `app.py` declares."""
    return {"gateway": GATEWAY_PORT(), **{noun: _port(noun) for noun in services()}}


def _port(noun: str) -> int:
    name = f"{noun.upper()}_SERVICE_PORT"
    text = lookup(name)
    if text is None:
        return _declared_port(noun)
    try:
        return port_number(text)
    except ValueError as error:
        raise ConfigurationError(f"{name}={text!r} cannot be used: {error}.") from error


@cache
def _declared_port(noun: str) -> int:
    """The `port=` of `create_service(…)`, read from the text, because importing a service would load all of Flask."""
    path = ROOT / "services" / noun / "app.py"
    for node in ast.walk(ast.parse(path.read_text("utf-8"), str(path))):
        if isinstance(node, ast.Call) and _called(node) == "create_service":
            for keyword in node.keywords:
                if keyword.arg == "port" and isinstance(keyword.value, ast.Constant):
                    return port_number(str(keyword.value.value))
    raise ConfigurationError(f"services/{noun}/app.py declares no port: write create_service(…, port=8200, …).")


def _called(node: ast.Call) -> str:
    return node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")


def without_database(nouns: Iterable[str]) -> tuple[str, ...]:
    """Those of the services whose `<NOUN>_SERVICE_DATABASE_URL` the user has not set: they get a database from us."""
    given = {**dotenv_values(".env"), **os.environ}
    return tuple(noun for noun in nouns if not given.get(f"{noun.upper()}_SERVICE_DATABASE_URL"))


def handed(environment: Mapping[str, str], component: str) -> dict[str, str]:
    """Return the variables for a web process: without any administrator or owner of tables, whom only `prepare` needs,
    and without the databases of other services. `solo` is all services in one.

    The variables of libpq (`PGPASSWORD`, `PGPASSFILE`, `PGUSER`) mostly hold an administrator: none is handed on.
    """
    return {name: value for name, value in environment.items() if _may_have(component, name)}


def _may_have(component: str, name: str) -> bool:
    database = DATABASE_VARIABLE.fullmatch(name)
    if not database:
        return name != "POSTGRES_PASSWORD" and not name.startswith("PG")
    noun, privileged = database["noun"], database["role"] in ("SERVER_", "ADMIN_", "OWNER_")
    return not privileged and (component == "solo" or (noun or component).lower() == component != "gateway")
