"""What an image of the Dockerfile holds, laid out in a folder, for machines without a container engine.

app/    the working folder, from the COPY lines of the stage and of those below it
site/   the locked packages that the build stage installs, as links; what a COPY line adds to them, as copies
bin/    `python`, `flask` and `gunicorn`, which see these two folders and nothing else of this project
"""

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tomllib
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement

from tests.deploy.composition import ROOT

Instructions = list[tuple[str, str]]
SCRIPT = "#!{python} -S\nimport sys\nfrom {module} import {function}\nsys.exit({function}())\n"


@cache
def stages() -> dict[str, tuple[str, Instructions]]:
    """Each stage of the Dockerfile: what it is built from, and its instructions."""
    text = re.sub(r"^#.*\n", "", (ROOT / "Dockerfile").read_text("utf-8"), flags=re.MULTILINE)
    found: dict[str, tuple[str, Instructions]] = {}
    for line in re.sub(r"\\\n\s*", "", text).splitlines():
        word, _, rest = line.partition(" ")
        if word == "FROM":
            base, name = re.fullmatch(r"(\S+) AS (\S+)", rest).groups()  # type: ignore[union-attr]
            current = found.setdefault(name, (base, []))[1]
        elif word:
            current.append((word, rest))
    return found


def instructions(stage: str) -> Instructions:
    """The instructions of a stage, after those of the stages that it is built from."""
    base, own = stages()[stage]
    return [*(instructions(base) if base in stages() else []), *own]


@dataclass(frozen=True)
class Image:
    """An image in a folder: its environment as ENV says it, and the words of its commands."""

    folder: Path
    environment: dict[str, str]
    command: list[str]
    healthcheck: list[str]

    def start(self, words: list[str], environment: dict[str, str], **options: Any) -> "subprocess.Popen[str]":
        """Start a program in it, with nothing of this process's environment but what it must have."""
        path = f"{self.folder / 'bin'}:{os.defpath}"
        full = self.environment | environment | {"PATH": path, "PYTHONPATH": str(self.folder / "site")}
        return subprocess.Popen(
            words,
            cwd=self.folder / "app",
            env=full,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            **options,
        )

    def run(self, words: list[str], environment: dict[str, str]) -> tuple[int, str]:
        """Run a program to its end: its exit status, and what it said."""
        process = self.start(words, environment)
        said, complained = process.communicate(timeout=120)
        return process.returncode, said + complained


def build(stage: str, folder: Path, package: str = "") -> Image:
    """Lay the image of a stage out in a folder."""
    lines = [(word, rest.replace("${PACKAGE}", package)) for word, rest in instructions(stage)]
    for word, rest in lines:
        if word == "COPY" and "--from" not in rest:
            *sources, target = rest.split()
            for source in sources:
                _copy(source, folder / "app" / target)
    _install(folder, {name for word, rest in lines for name in re.findall(r"--from=.*site-packages/(\S+) ", rest)})
    variables = dict(pair.split("=", 1) for word, rest in lines if word == "ENV" for pair in rest.split())
    said = {word: json.loads(rest[rest.index("[") :]) for word, rest in lines if word in ("CMD", "HEALTHCHECK")}
    return Image(folder, variables, said["CMD"], said.get("HEALTHCHECK", []))


def _copy(source: str, target: Path) -> None:
    allowed = re.findall(r"^!(\S+)", (ROOT / ".dockerignore").read_text("utf-8"), re.MULTILINE)
    assert any(Path(source).is_relative_to(name) for name in allowed), f".dockerignore hides {source}"
    if (ROOT / source).is_dir():
        shutil.copytree(ROOT / source, target, ignore=shutil.ignore_patterns("__pycache__"), dirs_exist_ok=True)
    else:
        target.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / source, target)


def _install(folder: Path, added: set[str]) -> None:
    site, programs = folder / "site", folder / "bin"
    site.mkdir(parents=True)
    programs.mkdir()
    for name in installed():
        distribution = metadata.distribution(name)
        for top in {path.parts[0] for path in distribution.files or ()} - {"..", "__pycache__"}:
            if not (site / top).exists():
                (site / top).symlink_to(str(distribution.locate_file(top)))
    for name in added:  # copied: behind a link, programs find beside them what the image does not hold
        shutil.copytree(Path(sysconfig.get_path("platlib")) / name, site / name)
    python = sys.executable
    (programs / "python").write_text(f'#!/bin/sh\nexec {python} -S "$@"\n')
    (programs / "flask").write_text(SCRIPT.format(python=python, module="flask.cli", function="main"))
    (programs / "gunicorn").write_text(SCRIPT.format(python=python, module="gunicorn.app.wsgiapp", function="run"))
    for program in programs.iterdir():
        program.chmod(0o755)


@cache
def installed() -> frozenset[str]:
    """The distributions that the build stage installs: what the project needs, and what that needs in turn."""
    left_out = set(re.findall(r"--no-install-package (\S+)", dict(_runs())["uv sync"]))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    waiting = [Requirement(text) for text in project["dependencies"]]
    seen: dict[str, set[str]] = {}
    while waiting:
        wanted = waiting.pop()
        name, extras = wanted.name.lower(), set(wanted.extras)
        if name in left_out or (name in seen and extras <= seen[name]):
            continue
        seen[name] = seen.get(name, set()) | extras
        for needed in map(Requirement, metadata.distribution(name).requires or ()):
            if needed.marker is None or any(needed.marker.evaluate({"extra": extra}) for extra in (*extras, "")):
                waiting.append(needed)
    return frozenset(seen)


def _runs() -> list[tuple[str, str]]:
    """The RUN lines of the build stage, each by its first words after the mounts."""
    lines = [re.sub(r"--mount=\S+ +", "", rest) for word, rest in instructions("build") if word == "RUN"]
    return [(" ".join(line.split()[:2]), line) for line in lines]
