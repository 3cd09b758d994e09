"""The sizes of what is installed and of the images: packages, and layers as the engine tells them or as estimated."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

from bench.results import Row

ROOT = Path(__file__).resolve().parent.parent
SHOWN = 10
IMAGE_MB = 200  # unpacked, with Python and Debian
MB = 1_000_000


def packages() -> dict[str, int]:
    """The bytes on disk, without bytecode, of each distribution that the lock installs without the group `dev`."""
    uv = [ROOT / ".tools" / "bin" / "uv", "export", "--quiet", "--locked", "--no-dev", "--no-hashes", "--no-annotate"]
    listed = subprocess.run(uv, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    found = {}
    for name in re.findall(r"^([\w.-]+)==", listed, re.MULTILINE):
        try:
            files = metadata.distribution(name).files or []
        except metadata.PackageNotFoundError:
            continue  # for another platform
        found[name] = sum(path.stat().st_size for path in {Path(str(f.locate())) for f in files} if path.is_file())
    return found


def package_rows() -> Iterator[Row]:
    """The sum of all packages, and the largest."""
    sizes = packages()
    yield Row(f"virtual environment, {len(sizes)} packages", sum(sizes.values()) / MB, "MB")
    for name in sorted(sizes, key=lambda name: -sizes[name])[:SHOWN]:
        yield Row(f"of it {name}", sizes[name] / MB, "MB")


def image_rows() -> Iterator[Row]:
    """The layers of an image that was built here, else what its COPY lines would carry."""
    image = _built()
    return _history(image) if image else _estimate()


def _built() -> str:
    """The image of the customer service, when there is an engine and it was built."""
    if not shutil.which("docker"):
        return ""
    words = ["docker", "image", "ls", "--filter", "label=org.opencontainers.image.title=Alicerce", "--format", "json"]
    done = subprocess.run(words, capture_output=True, text=True)
    images = [json.loads(line) for line in done.stdout.splitlines()] if done.returncode == 0 else []
    return next((image["Repository"] for image in images if image["Repository"].endswith("customer")), "")


def _history(image: str) -> Iterator[Row]:
    words = ["docker", "history", "--human=false", "--no-trunc", "--format", "json", image]
    layers = [json.loads(line) for line in subprocess.run(words, capture_output=True, text=True).stdout.splitlines()]
    yield Row(f"image {image}", sum(int(layer["Size"]) for layer in layers) / MB, "MB", IMAGE_MB)
    for layer in layers:
        if int(layer["Size"]):
            yield Row(f"of it {layer['CreatedBy'][:47]}", int(layer["Size"]) / MB, "MB")


def _estimate() -> Iterator[Row]:
    """No engine: the files that each layer of ours would hold, without the base image and all bytecode."""
    dockerfile = (ROOT / "Dockerfile").read_text("utf-8").partition("AS component")
    left_out = re.findall(r"--no-install-package (\S+)", dockerfile[0])
    shared = re.findall(r"^COPY (?!--)(\S+) ", dockerfile[0].partition("AS base")[2].partition("FROM")[0], re.MULTILINE)
    dependencies = sum(size for name, size in packages().items() if name not in left_out)
    layers = {"dependencies (shared)": dependencies} | {f"{name} (shared)": _bytes(ROOT / name) for name in shared}
    layers["services/customer"] = _bytes(ROOT / "services" / "customer")
    yield Row("image above its base, without bytecode (estimate)", sum(layers.values()) / MB, "MB", IMAGE_MB)
    for name, size in layers.items():
        yield Row(f"of it {name}", size / MB, "MB")


def _bytes(path: Path) -> int:
    files = [path] if path.is_file() else [found for found in path.rglob("*.*") if "__pycache__" not in found.parts]
    return sum(found.stat().st_size for found in files if found.is_file())
