"""`make new-service name=parcel`: a service of five files with one example noun, its revision and its tests.

The lines that put it on the map are printed and added by hand, because they are what people read: the architecture
test is red until they stand where they belong.
"""

import argparse
import json
import keyword
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from string import Template

from sqlalchemy.dialects.postgresql.base import RESERVED_WORDS

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from alicerce.services import ports, services  # noqa: E402 - found only once the tree is on the path
from gateway import routes  # noqa: E402

COMPOSE = ROOT / "docker-compose.yml"
OWN_SERVERS = ROOT / "docker-compose.databases.yml"
NGINX = ROOT / "deploy" / "nginx" / "alicerce.conf"
PGADMIN = ROOT / "deploy" / "pgadmin" / "databases.json"
TEMPLATES = ROOT / "scripts" / "templates" / "service"
NAME = re.compile(r"[a-z]{2,24}")
# What other parts of the platform are called: components, containers, keys, first steps of public paths.
TAKEN = {"access", "all", "alicerce", "api", "database", "docs", "gateway", "health", "internal", "live", "metrics"}
TAKEN |= {"openapi", "ops", "owner", "platform", "postgres", "prepare", "public", "ready", "replay", "solo"}


class Refused(Exception):
    """The service cannot be made like this; the message says why."""


@dataclass(frozen=True)
class Names:
    """How a noun is written: one, many, and the port of its service."""

    noun: str
    nouns: str
    port: int

    @property
    def words(self) -> dict[str, str]:
        """What the templates replace."""
        article = "an" if self.noun[0] in "aeiou" else "a"
        usual = self.nouns == f"{self.noun}s"
        return {
            "noun": self.noun,
            "Noun": self.noun.capitalize(),
            "NOUN": self.noun.upper(),
            "nouns": self.nouns,
            "Nouns": self.nouns.capitalize(),
            "a_noun": f"{article} {self.noun}",
            "A_Noun": f"{article.capitalize()} {self.noun}",
            "no_such": f"no_such_{self.noun}",
            "port": str(self.port),
            "plural": "" if usual else f'\n    plural = "{self.nouns}"\n',
        }


def plural(noun: str) -> str:
    """The English plural of a regular noun."""
    if re.search(r"[^aeiou]y$", noun):
        return f"{noun[:-1]}ies"
    return f"{noun}es" if re.search(r"(s|x|z|ch|sh)$", noun) else f"{noun}s"


def check(noun: str, nouns: str) -> None:
    """Raise Refused for a name that is not one noun, or that something else has."""
    if not NAME.fullmatch(noun) or not NAME.fullmatch(nouns):
        raise Refused(f"{noun!r} is no name for a service: use one noun of 2 to 24 lower-case letters, as in parcel.")
    if keyword.iskeyword(noun) or keyword.issoftkeyword(noun):
        raise Refused(
            f"{noun} is a word of Python, and a package of that name cannot be imported: choose another noun."
        )
    if noun in RESERVED_WORDS or nouns in RESERVED_WORDS:
        raise Refused(f"{noun} is a reserved word of SQL, and its table would always need quotes: choose another noun.")
    if noun in services() or (ROOT / "services" / noun).exists():
        raise Refused(f"There is a service {noun} already: see services/{noun}.")
    contracts = {path.stem for path in (ROOT / "contracts").glob("*.py")}
    if noun in TAKEN | contracts or not {noun, nouns}.isdisjoint({"kit", "contracts", "services", "tests"}):
        raise Refused(f"{noun} means something else here: choose another noun.")
    owners = {op.path.split("/")[1]: op.service for op in routes.operations()}
    if nouns in owners:
        raise Refused(f"/{nouns} is an address of {owners[nouns]} already: choose another noun.")


def free_port(wanted: int | None) -> int:
    """The wanted port, or the next one that no component has; without a wish, the one after the last."""
    taken = set(ports().values())
    port = wanted or max(port for name, port in ports().items() if name != "gateway") + 1
    while port in taken:
        port += 1
    if not 1024 <= port <= 65535:
        raise Refused(f"{port} is no port for a service: choose one from 1024 to 65535.")
    return port


def files(names: Names) -> dict[Path, str]:
    """Every file of the new service, by where it goes."""
    folder = ROOT / "services" / names.noun
    places = {
        TEMPLATES / "test.py.txt": ROOT / "tests" / "services" / f"test_{names.noun}.py",
        TEMPLATES / "migrations" / "0001_create.py.txt": folder / "migrations" / f"0001_create_{names.noun}.py",
    }
    for name in ("__init__", "app", "models", "domain", "schemas", "routes"):
        places[TEMPLATES / f"{name}.py.txt"] = folder / f"{name}.py"
    return {place: Template(source.read_text()).substitute(names.words) for source, place in places.items()}


def write(made: dict[Path, str]) -> None:
    """Write the files, none over another, in the house's format: names of other lengths break lines elsewhere."""
    for path, text in made.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x") as file:
            file.write(text)
    paths = [str(path) for path in made]
    subprocess.run([sys.executable, "-m", "ruff", "format", "--quiet", *paths], cwd=ROOT, check=True)


def hand_on(names: Names) -> dict[Path, str]:
    """The files of containers and proxies, with the new service beside the last one wherever that is only repeated.

    Nobody reads these lines as a map: they follow from the noun and its port.
    """
    servers = json.loads(PGADMIN.read_text())["Servers"]
    *_, last = servers.values()
    servers[str(len(servers) + 1)] = last | {"Name": names.noun, "Host": f"{names.noun}-database"}
    found = {path: repeated(path.read_text(), last["Name"], names) for path in (COMPOSE, OWN_SERVERS, NGINX)}
    return found | {PGADMIN: json.dumps({"Servers": servers}, indent=2) + "\n"}


def repeated(text: str, like: str, names: Names) -> str:
    """A text in which each line about one service is followed by the same about the new one, but for its map line."""
    lines = []
    for line in text.splitlines():
        about = re.search(rf"\b{like}\b|\b{like.upper()}_", line)
        if line.startswith("volumes: {"):
            lines.append(re.sub(rf"\b{like}(-data)?: {{}}", rf"\g<0>, {names.noun}\1: {{}}", line))
            continue
        lines.append(line)
        if about and not line.startswith(f"  {like}: {{<<"):
            new = line.replace(like.upper(), names.noun.upper()).replace(like, names.noun)
            lines.append(new.replace(str(ports()[like]), str(names.port)))
    return "\n".join(lines) + "\n"


def map_lines(names: Names) -> dict[str, str]:
    """What to add where, by a heading that says both."""
    return {heading: Template(text).substitute(names.words).strip("\n") for heading, text in MAP.items()}


MAP = {
    "gateway/routes.py, at the end of TABLE": """
    Door(
        "$noun",
        ("/api", "/$noun"),
        \"\"\"
        GET    /$nouns
        POST   /$nouns
        GET    /$nouns/<id>
        PUT    /$nouns/<id>
        DELETE /$nouns/<id>
        PATCH  /$nouns/<id>/activate
        \"\"\",
    ),
""",
    "docker-compose.yml, after the other services": """
  $noun: {<<: *service, build: {context: ., args: {PACKAGE: services/$noun}}, environment: {<<: [*environment, *private], PORT: $port}, volumes: ["$noun:/generated:ro"], networks: {data: {}, inside: {aliases: [$noun-service]}}}
""",  # noqa: E501 - one readable line per service
    ".env.example, among the services and the databases": """
${NOUN}_SERVICE_PORT=$port
${NOUN}_SERVICE_URL=
${NOUN}_SERVICE_DATABASE_URL=
${NOUN}_SERVICE_DATABASE_OWNER_URL=
${NOUN}_SERVICE_DATABASE_JOB_URL=
""",
    "README.md, in the map": """
| `$noun` | $port | the $nouns of a tenant | `/api/$nouns`, `/$noun/…` |
""",
}


def main() -> int:
    """Make one service; a name that cannot be used is one sentence and exit status 1."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", help="one lower-case noun: parcel")
    parser.add_argument("--plural", help="its plural, where it is irregular")
    parser.add_argument("--port", type=int, help="where it listens; one that is taken becomes the next free one")
    arguments = parser.parse_args()
    nouns = arguments.plural or plural(arguments.name)
    try:
        check(arguments.name, nouns)
        names = Names(arguments.name, nouns, free_port(arguments.port))
    except Refused as refusal:
        print(refusal, file=sys.stderr)
        return 1
    made = files(names)
    write(made)
    handed = hand_on(names)
    for path, text in handed.items():
        path.write_text(text)
    print(*(f"wrote {path.relative_to(ROOT)}" for path in made), sep="\n")
    print(*(f"extended {path.relative_to(ROOT)}" for path in handed), sep="\n")
    print("\nPut it on the map by adding these lines; the architecture test is red until they are there:")
    for heading, lines in map_lines(names).items():
        print(f"\n--- {heading}\n{lines}")
    print(f"\nThen: make check test PYTEST_ARGS='-k {names.noun}'")
    return 0


if __name__ == "__main__":
    sys.exit(main())
