"""What `make doctor` checks of the settings: misspelt or unreadable variables, examples left in place, signing keys."""

import difflib
import json
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

from dotenv import dotenv_values

from alicerce.doctor.findings import Finding, ok, problem, warning
from alicerce.keys import components
from alicerce.services import ROOT, services
from kit import config
from kit.config import ConfigurationError, keys_directory, lookup
from kit.tokens import load_private_key

DOTENV = Path(".env")
OLDER_NAMES = {"JWT_SECRET", "JWT_SECRET_KEY"}
CLOSE = 0.8  # one letter wrong, missing or swapped in a name of usual length
SECRETS = ("SECRET_KEY", *sorted(OLDER_NAMES), "METRICS_TOKEN", "POSTGRES_PASSWORD")
DECLARING = ("gateway.app", "kit.gunicorn", "alicerce.databases", "alicerce.supervise")


def names(folder: Path) -> Iterator[Finding]:
    """Variables in `.env` that nothing obeys; `.env.example` holds every one that there is."""
    if not DOTENV.exists():
        yield ok("names", "no .env; defaults and the environment hold")
        return
    known = {*dotenv_values(ROOT / ".env.example"), *OLDER_NAMES}
    known |= {f"{noun.upper()}_SERVICE_{name}" for noun in services() for name in known if "_SERVICE_" not in name}
    # COMPOSE_FILE and its like are docker compose's own.
    unknown = [name for name in dotenv_values(DOTENV) if name not in known and not name.startswith("COMPOSE_")]
    for name in unknown:
        near = difflib.get_close_matches(name.upper(), known, 1, CLOSE)
        if near:
            yield problem("names", f".env sets {name}, which nothing reads.", f"did you mean {near[0]}?")
        else:
            yield warning("names", f".env sets {name}, which nothing reads.", "remove it; .env.example lists all")
    if not unknown:
        yield ok("names", "every variable of .env is known")


def values(folder: Path) -> Iterator[Finding]:
    """Variables whose text cannot be read."""
    for module in (*DECLARING, *(f"services.{noun}.app" for noun in services())):
        import_module(module)
    faults: dict[str, None] = {}
    for declared in config.REGISTRY.values():
        for noun in services():
            try:
                declared.of(noun)
                declared()
            except ConfigurationError as error:
                faults[str(error)] = None
    for fault in faults:
        yield problem("values", fault, "correct it in .env or in the environment")
    if not faults:
        yield ok("values", f"{len(config.REGISTRY)} settings can be read")


def secrets(folder: Path) -> Iterator[Finding]:
    """Secrets that are still the example of somebody's documentation."""
    found = False
    for name in SECRETS:
        if (lookup(name) or "").strip().lower().startswith(config.PLACEHOLDERS):
            found = True
            lenient = config.ENV() in ("development", "test")
            say = warning if lenient else problem
            yield say("secrets", f"{name} is still an example.", "set it to a long random text, or leave it empty")
    if not found:
        yield ok("secrets", "no example stands in for a secret")


def keys(folder: Path) -> Iterator[Finding]:
    """The signing keys: all there, all readable, all published."""
    directory = keys_directory()
    if not (directory / "public.json").exists():
        yield ok("keys", "not made yet; `make run` makes them")
        return
    try:
        published = {entry["component"] for entry in json.loads((directory / "public.json").read_text())["keys"]}
    except (ValueError, KeyError, TypeError):
        yield problem("keys", f"{directory / 'public.json'} is damaged.", "remove it, and `make keys` writes it again")
        return
    sound = True
    for component in components():
        path = directory / "private" / f"{component}.pem"
        if not path.exists() or component not in published:
            sound = False
            yield warning(
                "keys", f"{component} has no key yet.", "`make keys` makes what is missing; so does `make run`"
            )
            continue
        try:
            load_private_key(path)
        except (ConfigurationError, ValueError, TypeError) as error:
            sound = False
            advice = f"set SECRET_KEY as it was, restore the file, or `make rotate-keys component={component}`"
            yield problem("keys", f"{path} cannot be read: {error}", advice)
    if sound:
        yield ok("keys", f"{len(components())} keys in {directory}")
