"""The bootstrap of uv: from whatever index is configured, judged by its hash, each failure one sentence."""

import hashlib
import io
import ssl
import threading
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from scripts import bootstrap
from scripts.bootstrap import BootstrapError

NAME = f"uv-{bootstrap.VERSION}-py3-none-test.whl"


def wheel() -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        archive.writestr(f"uv-{bootstrap.VERSION}.data/scripts/uv", "#!/bin/sh\n")
    return data.getvalue()


WHEEL = wheel()
DIGEST = hashlib.sha256(WHEEL).hexdigest()


class Index(ThreadingHTTPServer):
    """A package index: what it answers by path, and the `Authorization` of each request."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.pages: dict[str, bytes] = {}
        self.authorizations: list[str] = []
        self.url = f"http://127.0.0.1:{self.server_port}/simple"


class Answer(BaseHTTPRequestHandler):
    server: Index

    def do_GET(self) -> None:
        self.server.authorizations.append(self.headers.get("Authorization", ""))
        body = self.server.pages.get(self.path)
        self.send_response(404 if body is None else 200)
        self.end_headers()
        self.wfile.write(body or b"")

    def log_message(self, *words: Any) -> None:
        pass


@pytest.fixture
def index() -> Iterator[Index]:
    with Index() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture(autouse=True)
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of this machine's configuration shows."""
    for name in list(bootstrap.os.environ):
        if name.startswith(("PIP_", "UV_", "XDG_", "REQUESTS_", "CURL_")) or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_DIRS", str(tmp_path / "shared"))


def fetched(*urls: str, digest: str = DIGEST) -> bytes:
    configured = bootstrap.options()
    return bootstrap.fetch(bootstrap.Web(configured), list(urls) or bootstrap.indexes(configured), NAME, digest)


JSON = b'{"files": [{"filename": "x", "url": "../../files/%s#sha256=1"}]}' % NAME.encode()
HTML = b'<html><a href="/other.whl">x</a><a href="../../files/%s#sha256=1">x</a></html>' % NAME.encode()


@pytest.mark.parametrize("page", [JSON, HTML], ids=["json", "html"])
def test_it_comes_from_an_index_of_either_form(index: Index, page: bytes, tmp_path: Path) -> None:
    index.pages = {"/simple/uv/": page, f"/files/{NAME}": WHEEL}
    data = fetched(index.url.replace("//", "//ana:p%40ss@"))
    program = bootstrap.install(data, tmp_path / "bin")
    assert program.read_text() == "#!/bin/sh\n"
    assert program.stat().st_mode & 0o777 == 0o755
    assert index.authorizations[0] == "Basic YW5hOnBAc3M="


def test_a_password_is_for_the_index_alone(index: Index) -> None:
    with Index() as elsewhere:
        threading.Thread(target=elsewhere.serve_forever, daemon=True).start()
        elsewhere.pages = {f"/{NAME}": WHEEL}
        index.pages = {"/simple/uv/": f'<a href="{elsewhere.url.removesuffix("simple")}{NAME}">x</a>'.encode()}
        assert fetched(index.url.replace("//", "//ana:secret@")) == WHEEL
        assert elsewhere.authorizations == [""]
        elsewhere.shutdown()


def test_another_file_than_the_pinned_one_is_thrown_away(index: Index) -> None:
    index.pages = {"/simple/uv/": JSON, f"/files/{NAME}": WHEEL + b"!"}
    with pytest.raises(BootstrapError, match="is not the one that is pinned"):
        fetched(index.url)


def test_each_index_is_asked_and_each_refusal_is_named(index: Index) -> None:
    index.pages = {"/empty/uv/": b'{"files": []}', "/odd/uv/": b'{"meta": 1}'}
    base = index.url.removesuffix("simple")
    with pytest.raises(BootstrapError) as refused:
        fetched(base + "none", base + "empty", base + "odd", "http://127.0.0.1:1/simple")
    message = str(refused.value)
    assert "127.0.0.1 answered 404" in message
    assert f"has no {NAME}" in message
    assert "answered no list of files" in message
    assert "cannot be reached" in message and "HTTPS_PROXY" in message and "PIP_INDEX_URL" in message
    index.pages |= {"/simple/uv/": JSON, f"/files/{NAME}": WHEEL}
    assert fetched(base + "none", index.url) == WHEEL


def test_no_refusal_shows_a_password(index: Index) -> None:
    with pytest.raises(BootstrapError) as refused:
        fetched(index.url.replace("//", "//ana:secret@"))
    assert "secret" not in str(refused.value)


def test_the_index_is_the_configured_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert bootstrap.indexes(bootstrap.options()) == ["https://pypi.org/simple"]
    for folder, text in (
        (
            "shared/pip",
            "[global]\nindex-url = https://shared.example/simple\nextra-index-url = https://more.example/s\n",
        ),
        (".config/pip", "[global]\nindex-url = https://own.example/simple\n"),
    ):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "pip.conf").write_text(text)
    assert bootstrap.indexes(bootstrap.options()) == ["https://own.example/simple", "https://more.example/s"]
    monkeypatch.setenv("PIP_INDEX_URL", "https://pip.example/simple")
    assert bootstrap.indexes(bootstrap.options())[0] == "https://pip.example/simple"
    monkeypatch.setenv("UV_INDEX_URL", "https://uv.example/simple?a=b")
    assert bootstrap.indexes(bootstrap.options())[0] == "https://uv.example/simple?a=b"
    monkeypatch.setenv("UV_DEFAULT_INDEX", "ours=https://ours.example/simple")
    assert bootstrap.indexes(bootstrap.options())[0] == "https://ours.example/simple"
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    assert "extra-index-url" not in bootstrap.options()


def test_a_proxy_is_obeyed(index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    index.pages = {"http://nowhere.invalid/simple/uv/": JSON, f"http://nowhere.invalid/files/{NAME}": WHEEL}
    monkeypatch.setenv("http_proxy", index.url.removesuffix("/simple"))
    assert fetched("http://nowhere.invalid/simple") == WHEEL


def test_every_machine_that_runs_alicerce_has_a_pinned_wheel() -> None:
    machines = [
        *(("linux", machine, libc) for machine in ("x86_64", "aarch64") for libc in ("glibc", "musl")),
        *(("darwin", machine, "") for machine in ("x86_64", "arm64")),
    ]
    for machine in machines:
        name, digest = bootstrap.wheel(*machine)
        assert name.startswith(f"uv-{bootstrap.VERSION}-") and len(bytes.fromhex(digest)) == 32
    with pytest.raises(BootstrapError, match="install this version yourself"):
        bootstrap.wheel("plan9", "mips", "")


def test_certificates_decide_where_there_are_any(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(BootstrapError, match="cannot be read"):
        bootstrap.Web({"cert": str(tmp_path / "missing.pem")})
    paths = ssl.get_default_verify_paths()
    monkeypatch.setattr(ssl, "get_default_verify_paths", lambda: paths._replace(cafile=None, capath=None))
    assert not bootstrap.Web({}).has_certificates
    monkeypatch.setattr(ssl, "get_default_verify_paths", lambda: paths._replace(cafile="/some.pem", capath=None))
    assert bootstrap.Web({}).has_certificates


def test_a_uv_that_is_there_already_is_accepted_if_it_is_the_pinned_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(bootstrap, "WHEELS", {})
    program = tmp_path / "uv"
    for version, status in ((bootstrap.VERSION, 0), ("0.0.1", 1)):
        program.write_text(f"#!/bin/sh\necho 'uv {version} (some build)'\n")
        program.chmod(0o755)
        assert bootstrap.main(tmp_path) == status
    assert "install this version" in capsys.readouterr().err
