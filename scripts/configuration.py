"""Writes docs/configuration.md: every setting, from its declaration in the code and its place in .env.example."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "configuration.md"
PACKAGES = ("kit", "contracts", "gateway", "services", "alicerce")
OWN = re.compile(r"[A-Z]+(_SERVICE_(?:PORT|URL|DATABASE_(?:OWNER_|JOB_)?URL))\Z")
SECTION = re.compile(r"# --- (.+?) -+\Z")
HEAD = """# Configuration

*Written by `make docs` from the declarations in the code and from [.env.example](../.env.example).*

Settings are environment variables. Copy `.env.example` to `.env` and change what you need; what is set in the
environment itself goes first. An empty value means the default. A value that cannot be used stops the start with a
sentence that names it, and `make doctor` finds it beforehand.

**For one service alone**, put its noun before the name: `CUSTOMER_SERVICE_LOG_LEVEL=DEBUG` is heard by `customer` only.
In the tables below `<NOUN>` stands for the name of a service, as in `CUSTOMER_SERVICE_PORT`.
"""


def declared() -> dict[str, tuple[str, str]]:
    """Of each setting: what it means, and the file that declares it."""
    found: dict[str, tuple[str, str]] = {}
    for file in sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "setting":
                name, _, help, *parse = node.args
                meaning = f"{ast.literal_eval(help).rstrip('.')}{_choices(parse)}."
                found.setdefault(ast.literal_eval(name), (meaning, str(file.relative_to(ROOT))))
    return found


def _choices(parse: list[ast.expr]) -> str:
    """The words of a `one_of(…)` that reads a setting."""
    if not parse or not isinstance(parse[0], ast.Call):
        return ""
    words = " ".join(f"`{ast.literal_eval(word)}`" for word in parse[0].args)
    return f" ({words})"


def sections() -> dict[str, dict[str, tuple[str, str]]]:
    """Of each section of .env.example: its variables, each with its default and the comment above it."""
    found: dict[str, dict[str, tuple[str, str]]] = {}
    current: dict[str, tuple[str, str]] = {}
    comment: list[str] = []
    is_comment_over = True
    for line in (ROOT / ".env.example").read_text("utf-8").splitlines():
        if title := SECTION.match(line):
            current, comment = found.setdefault(title[1], {}), []
        elif line.startswith("#"):
            comment = [line[2:]] if is_comment_over else [*comment, line[2:]]
        elif "=" in line:
            name, _, default = line.partition("=")
            current.setdefault(OWN.sub(r"<NOUN>\1", name), ("" if OWN.match(name) else default, _sentence(comment)))
        is_comment_over = not line.startswith("#") or bool(title)
    return found


def page() -> str:
    """The page as it should be."""
    known = declared()
    parts = [HEAD]
    for title, variables in sections().items():
        rows = ["| variable | default | what it means | read in |", "|---|---|---|---|"]
        for name, (default, comment) in variables.items():
            help, file = known.get(name, (comment, ""))
            source = f"[{file}](../{file})" if file else ""
            rows.append(f"| `{name}` | {f'`{default}`' if default else ''} | {help} | {source} |")
        parts.append(f"## {title}\n\n" + "\n".join(rows) + "\n")
    return "\n".join(parts)


def _sentence(lines: list[str]) -> str:
    return " ".join(lines).rstrip(".") + "."


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
