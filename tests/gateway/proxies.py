"""Real proxies before what is tested: nginx and HAProxy, each on a port of its own, from their start to their end."""

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

from tests.topologies import PATIENCE_S, ROOT, eventually, free_ports

EXAMPLE = ROOT / "deploy" / "nginx" / "alicerce.conf"
WHERE = "/usr/sbin:/usr/local/sbin:/usr/bin:/opt/homebrew/bin"
INSTALLED = ("nginx",)  # by .ci/run
Front = Callable[[Path, int, Mapping[str, int]], list[str]]


def example(port: int, ports: Mapping[str, int]) -> str:
    """Our example file, with the ports of this run."""
    text = EXAMPLE.read_text().replace("listen 8000;", f"listen 127.0.0.1:{port};")
    for name, upstream in ports.items():
        text = re.sub(rf"(upstream {name} +{{ server 127\.0\.0\.1):\d+", rf"\1:{upstream}", text)
    return text


def plain(port: int, ports: Mapping[str, int]) -> str:
    """What most people write: everything to the gateway."""
    return (
        f"server {{ listen 127.0.0.1:{port}; client_max_body_size 16m; "
        f"location / {{ proxy_http_version 1.1; proxy_pass http://127.0.0.1:{ports['gateway']}; }} }}"
    )


def _nginx(folder: Path, http: str) -> list[str]:
    temporary = "".join(f"{name}_temp_path {folder}/{name};" for name in ("client_body", "proxy", "fastcgi", "uwsgi"))
    (folder / "nginx.conf").write_text(
        f"daemon off; master_process off; pid {folder}/pid; error_log stderr crit; events {{}}\n"
        f"http {{ access_log off; client_body_timeout 2s; {temporary} scgi_temp_path {folder}/scgi;\n{http}\n}}\n"
    )
    return [program("nginx"), "-c", str(folder / "nginx.conf"), "-e", "stderr"]


def nginx_example(folder: Path, port: int, ports: Mapping[str, int]) -> list[str]:
    """nginx with deploy/nginx/alicerce.conf: it asks the gateway, and carries the data itself."""
    return _nginx(folder, example(port, ports))


def nginx_plain(folder: Path, port: int, ports: Mapping[str, int]) -> list[str]:
    """nginx that passes everything to the gateway."""
    return _nginx(folder, plain(port, ports))


def haproxy(folder: Path, port: int, ports: Mapping[str, int]) -> list[str]:
    """HAProxy that passes everything to the gateway, on connections that it keeps."""
    (folder / "haproxy.cfg").write_text(
        "defaults\n mode http\n timeout connect 5s\n timeout client 30s\n timeout server 30s\n http-reuse always\n"
        f"frontend f\n bind 127.0.0.1:{port}\n default_backend b\n"
        f"backend b\n server gateway 127.0.0.1:{ports['gateway']}\n"
    )
    return [program("haproxy"), "-db", "-q", "-f", str(folder / "haproxy.cfg")]


def program(name: str) -> str:
    """The path of a program. Skips the test without it, but where `.ci/run` installs it, that is a failure."""
    path = shutil.which(name, path=WHERE)
    if path is None:
        (pytest.fail if os.environ.get("CI") == "true" and name in INSTALLED else pytest.skip)(
            f"{name} is not installed"
        )
    return path


@contextmanager
def proxied(front: Front, folder: Path, ports: Mapping[str, int]) -> Iterator[int]:
    """The port of a proxy before these components, once the gateway answers through it."""
    [port] = free_ports(1)
    process = subprocess.Popen(front(folder, port, ports))
    try:
        eventually(lambda: _is_ready(process, port), "the proxy and the gateway are ready")
        yield port
    finally:
        process.terminate()
        process.wait(PATIENCE_S)


def _is_ready(proxy: "subprocess.Popen[bytes]", port: int) -> bool:
    assert proxy.poll() is None, "the proxy has ended"
    try:
        return requests.get(f"http://127.0.0.1:{port}/ready", timeout=5).status_code == 200
    except requests.RequestException:  # it listens before the gateway answers
        return False
