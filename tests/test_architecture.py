"""The rules of the house, as tests: shape, sizes, ports, prefixes, settings, calls between services, documents."""

import ast
import re
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

import alicerce.supervise  # noqa: F401 - declares settings
import kit.gunicorn  # noqa: F401 - declares settings
from alicerce.services import ports, services
from gateway import routes
from kit.app import BARE
from kit.config import REGISTRY
from scripts import configuration

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("alicerce", "contracts", "gateway", "kit", "services", "scripts", "bench", "tests")
FILES = {"__init__", "app", "domain", "models", "routes", "schemas"}
OPTIONAL = {"adapters", "migrations"}


def python_files(*packages: str) -> list[Path]:
    return sorted(path for package in packages for path in (ROOT / package).rglob("*.py"))


def parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"))


def relative(path: Path) -> str:
    return str(path.relative_to(ROOT))


# --- Shape -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("service", services())
def test_a_service_has_the_same_files_as_every_other(service: str) -> None:
    names = {path.stem for path in (ROOT / "services" / service).iterdir() if path.name != "__pycache__"}
    assert names - OPTIONAL == FILES
    assert (ROOT / "services" / service / "migrations").is_dir()


@pytest.mark.parametrize("service", services())
def test_a_service_says_what_it_owns_and_its_wiring_is_short(service: str) -> None:
    package = import_module(f"services.{service}")
    assert package.__doc__
    assert package.__all__ == ["create_app"]
    assert len((ROOT / "services" / service / "app.py").read_text().splitlines()) <= 10


def test_files_and_functions_stay_short() -> None:
    long = [relative(path) for path in python_files(*PACKAGES) if len(path.read_text().splitlines()) > 400]
    for path in (path for path in python_files(*PACKAGES) if "migrations/0" not in relative(path)):
        for node in ast.walk(parse(path)):
            if isinstance(node, ast.FunctionDef):
                body_start = min((d.lineno for d in node.decorator_list), default=node.lineno)
                if (node.end_lineno or 0) - body_start >= 40 + len(node.decorator_list):
                    long.append(f"{relative(path)}:{node.name}")
    assert long == []


def test_every_module_says_what_it_is() -> None:
    silent = [
        relative(path)
        for path in python_files("alicerce", "contracts", "gateway", "kit", "scripts", "bench")
        if not ast.get_docstring(parse(path))
    ]
    assert silent == []


def test_a_revision_writes_the_same_whatever_becomes_of_its_service() -> None:
    revisions = [path for path in python_files("services") if "migrations/0" in relative(path)]
    assert [
        relative(path) for path in revisions if re.search(r"^(from|import) services\b", path.read_text(), re.M)
    ] == []


# --- Transactions and SQL --------------------------------------------------------------------------------------------


def test_only_the_kit_commits() -> None:
    allowed = {"kit/app.py", "kit/background.py", "kit/migrations/env.py", "alicerce/admin.py"}
    found = {
        relative(path)
        for path in python_files("services", "gateway", "contracts", "kit", "alicerce")
        if re.search(r"\.commit\(", path.read_text())
    }
    assert found <= allowed


def test_verbs_write_no_raw_sql() -> None:
    raw = [
        relative(path)
        for path in python_files("services")
        if "/domain" in relative(path) and re.search(r"\b(text|exec_driver_sql)\(", path.read_text())
    ]
    assert raw == []


# --- Ports, prefixes and the table -----------------------------------------------------------------------------------


def settings_of(path: Path) -> dict[str, str]:
    lines = (line for line in path.read_text().splitlines() if line and not line.startswith("#"))
    return dict(line.split("=", 1) for line in lines)


def test_ports_are_distinct() -> None:
    assert len(set(ports().values())) == len(ports())


@pytest.mark.parametrize("service", services())
def test_the_readme_maps_each_service(service: str) -> None:
    row = rf"\| `{service}` \| {ports()[service]} \|"
    assert re.search(row, (ROOT / "README.md").read_text())


def public_operations(app: Any) -> set[str]:
    found = set()
    for rule in app.url_map.iter_rules():
        if rule.endpoint in BARE or rule.rule.startswith("/internal"):
            continue
        path = re.sub(r"<[^>]+>", "<id>", rule.rule.rstrip("/") or "/")
        found |= {f"{method} {path}" for method in rule.methods - {"HEAD", "OPTIONS"}}
    return found


@pytest.mark.parametrize("service", services())
def test_routes_of_a_service_are_its_rows_in_the_public_table_and_its_openapi(service: str, platform: Any) -> None:
    app = import_module(f"services.{service}").create_app()
    table = {f"{op.method} {op.path}" for op in routes.operations() if op.service == service}
    assert public_operations(app) == table
    paths = app.test_client().get("/openapi.json").get_json()["paths"]
    documented = {
        f"{method.upper()} {re.sub(r'{[^}]+}', '<id>', path.rstrip('/'))}"
        for path, operations in paths.items()
        for method in operations
        if method != "parameters" and not path.startswith("/internal")
    }
    assert documented == table


@pytest.mark.parametrize("service", services())
def test_the_table_opens_exactly_what_the_service_declares_public(service: str, platform: Any) -> None:
    app = import_module(f"services.{service}").create_app()
    declared = set()
    for rule in app.url_map.iter_rules():
        view = app.view_functions[rule.endpoint]
        if rule.endpoint not in BARE and (view.access.kind == "public" or view.access.visitors):
            path = re.sub(r"<[^>]+>", "<id>", rule.rule.rstrip("/"))
            mark = "optional" if view.access.visitors else "open"
            declared |= {f"{method} {path} {mark}" for method in rule.methods - {"HEAD", "OPTIONS"}}
    opened = {f"{op.method} {op.path} {op.mark}" for op in routes.operations() if op.service == service and op.mark}
    assert opened == declared


def test_prefixes_are_the_api_and_the_services_own_name() -> None:
    for door in routes.TABLE:
        assert set(door.prefixes) <= {"/api", f"/{door.service}", f"/api/{door.service}"}
        assert f"/{door.service}" in door.prefixes


def test_no_public_address_leads_inside() -> None:
    inside = [op.path for op in routes.operations() if "internal" in op.path or op.path in BARE]
    assert inside == []


# --- Calls between services ------------------------------------------------------------------------------------------


def called_names(function: ast.AST) -> set[str]:
    """Every name that a function mentions, bare or after a dot."""
    names = {node.id for node in ast.walk(function) if isinstance(node, ast.Name)}
    return names | {node.attr for node in ast.walk(function) if isinstance(node, ast.Attribute)}


def functions_of(service: str) -> dict[str, ast.FunctionDef]:
    folder = ROOT / "services" / service
    files = [*folder.glob("domain.py"), *folder.glob("domain/*.py")]
    return {node.name: node for path in files for node in parse(path).body if isinstance(node, ast.FunctionDef)}


def contract_modules() -> dict[str, set[str]]:
    """The functions of each contract module that reach a sibling."""
    found = {}
    for path in (ROOT / "contracts").glob("*.py"):
        calls = {n.name for n in parse(path).body if isinstance(n, ast.FunctionDef) and "api" in called_names(n)}
        if calls:
            found[path.stem] = calls
    return found


def verbs_that_call_siblings(service: str) -> set[str]:
    functions = functions_of(service)
    reaching = {name for calls in contract_modules().values() for name in calls}

    def calls_directly(function: ast.FunctionDef) -> bool:
        for node in ast.walk(function):
            is_call = isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)
            if is_call and node.value.id in contract_modules() and node.attr in reaching:  # type: ignore[union-attr]
                return True
        return False

    tainted = {name for name, function in functions.items() if calls_directly(function)}
    while True:
        more = {n for n, f in functions.items() if n not in tainted and called_names(f) & tainted}
        if not more:
            return tainted
        tainted |= more


@pytest.mark.parametrize("service", services())
def test_a_route_that_answers_siblings_asks_no_sibling(service: str) -> None:
    tainted = verbs_that_call_siblings(service)
    for node in parse(ROOT / "services" / service / "routes.py").body:
        if isinstance(node, ast.FunctionDef) and any("internal" in called_names(d) for d in node.decorator_list):
            assert not called_names(node) & tainted, node.name


def test_the_graph_of_commands_has_no_cycle() -> None:
    commands = {
        path.stem: {
            node.name
            for node in parse(path).body
            if isinstance(node, ast.FunctionDef) and {"put", "post"} & called_names(node)
        }
        for path in (ROOT / "contracts").glob("*.py")
    }
    edges = {
        service: {
            module
            for function in functions_of(service).values()
            for module, names in commands.items()
            if module in called_names(function) and names & called_names(function)
        }
        for service in services()
    }

    def reachable(start: str) -> set[str]:
        seen: set[str] = set()
        waiting = list(edges.get(start, ()))
        while waiting:
            step = waiting.pop()
            if step not in seen:
                seen.add(step)
                waiting += edges.get(step, ())
        return seen

    assert [service for service in services() if service in reachable(service)] == []
    assert edges["auth"] == {"tenant"}


# --- Settings and documents ------------------------------------------------------------------------------------------


def test_every_variable_stands_in_the_example_environment(platform: Any) -> None:
    example = (ROOT / ".env.example").read_text()
    names = set(settings_of(ROOT / ".env.example"))
    own = {f"{noun.upper()}_SERVICE_{word}" for noun in services() for word in ("PORT", "URL", "DATABASE_URL")}
    own |= {f"{noun.upper()}_SERVICE_DATABASE_{role}_URL" for noun in services() for role in ("OWNER", "JOB")}
    others = {"ALICERCE_HOME", "WEB_CONCURRENCY", "POSTGRES_PASSWORD", "HTTP_PORT", "HTTPS_PORT", "TLS_DIRECTORY"}
    assert names == set(REGISTRY) | own | others
    for file in ROOT.glob("docker-compose*.yml"):
        assert set(re.findall(r"\$\{([A-Z_]+)", file.read_text())) <= names
    assert not re.search(r"^[A-Z_]*(SECRET|PASSWORD)[A-Z_]*=[^\d\n]", example, re.MULTILINE)


@pytest.mark.parametrize("name", sorted(REGISTRY))
def test_the_example_environment_shows_defaults(name: str) -> None:
    shown = settings_of(ROOT / ".env.example")[name]
    assert REGISTRY[name].parse(shown) == REGISTRY[name].default if shown else not REGISTRY[name].default


def test_the_page_of_settings_is_what_the_code_says() -> None:
    assert configuration.PAGE.read_text("utf-8") == configuration.page(), "make docs writes it anew"


def test_the_lock_names_public_hosts_only() -> None:
    hosts = set(re.findall(r"https?://[^/\"]+", (ROOT / "uv.lock").read_text()))
    assert hosts == {"https://pypi.org", "https://files.pythonhosted.org"}
    assert not re.search(r'registry = "[^h]', (ROOT / "uv.lock").read_text())


def test_decisions_are_dated_and_short() -> None:
    pages = sorted((ROOT / "docs" / "decisions").glob("*.md"))
    assert [page.name[:4] for page in pages] == [f"{number:04d}" for number in range(1, len(pages) + 1)]
    for page in pages:
        text = page.read_text()
        assert len(text.splitlines()) <= 50, page.name
        assert re.search(r"^\d{4}-\d{2}-\d{2}$", text, re.MULTILINE), page.name


def pages() -> list[Path]:
    return [page for folder in (".", "docs", "docs/decisions", "collections") for page in (ROOT / folder).glob("*.md")]


def test_files_that_documents_name_are_there() -> None:
    named = re.compile(
        r"`(?!\S*parcel)((?:tests|kit|gateway|services|alicerce|contracts|scripts|deploy|bench)/[\w./-]+)`"
    )
    dead = [f"{relative(page)}: {path}" for page in pages() for path in named.findall(page.read_text())]
    assert [line for line in dead if not (ROOT / line.partition(": ")[2]).exists()] == []


def test_links_in_documents_lead_somewhere() -> None:
    dead = []
    for page in pages():
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text()):
            if not (page.parent / target).exists():
                dead.append(f"{relative(page)} -> {target}")
    assert dead == []


def test_make_help_lists_every_target_that_documents_name() -> None:
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z-]+):.*## ", makefile, re.MULTILINE))
    for page in pages():
        named = set(re.findall(r"`make ([a-z-]+)", page.read_text()))
        assert named <= targets, (page.name, named - targets)
