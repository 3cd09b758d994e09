"""The compose files as compose reads them, so far as they use its language: merges, defaults, `.env`."""

import re
from pathlib import Path
from typing import Any

import yaml

from alicerce.services import services

ROOT = Path(__file__).resolve().parents[2]
COMPONENTS = ("gateway", *services())
ONE_SHOT = ("keys", "migrate", "backup")
OWN_SERVERS = tuple(f"{service}-database" for service in services())


class Loader(yaml.SafeLoader):
    """YAML with compose's own tags, which say how two files are laid over each other."""


Loader.add_constructor("!override", lambda loader, node: loader.construct_mapping(node, deep=True))
Loader.add_constructor("!reset", lambda loader, node: None)


def load(name: str = "docker-compose.yml") -> Any:
    """A compose file, with its merges done."""
    return yaml.load((ROOT / name).read_text("utf-8"), Loader)


def settings_of(text: str) -> dict[str, str]:
    """The variables of an environment file."""
    lines = (line for line in text.splitlines() if line and not line.startswith("#"))
    return dict(line.split("=", 1) for line in lines)


def resolve(text: object, variables: dict[str, str]) -> str:
    """A value with its `${NAME:-default}` filled in, as compose does it: an empty variable gives the default."""
    return re.sub(r"\$\{(\w+):-([^}]*)\}", lambda found: variables.get(found[1]) or found[2], str(text))


def environment(component: str, dotenv: str) -> dict[str, str]:
    """What compose puts into the environment of a container when `.env` has this text."""
    given = settings_of(dotenv)
    entry = load()["services"][component]
    from_file = given if "env_file" in entry else {}
    return from_file | {name: resolve(value, given) for name, value in entry["environment"].items()}
