"""A secret that came in never comes out: not in a log, an error, a figure, a page or a document, of any process."""

import base64
import json
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import requests

from tests import topologies
from tests.tables import Tally
from tests.topologies import Running, running

PAGES = ("/metrics", "/ops", "/openapi.json", "/docs", "/health", "/ready", "/live")


@pytest.fixture(scope="module")
def talkative(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Every component as a process of its own, under the supervisor, all of whose output is kept."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(topologies.SETTINGS, "LOG_LEVEL", "DEBUG")
        with running("split", tmp_path_factory.mktemp("secrets")) as platform:
            yield platform


def spellings(secret: str) -> set[str]:
    """A secret as it could be written: as it is, quoted for a URL or JSON, and in base 64."""
    return {secret, quote(secret, safe=""), json.dumps(secret)[1:-1], base64.b64encode(secret.encode()).decode()}


def kept_secrets(home: Path) -> set[str]:
    """What the platform made for itself: passwords of databases, private keys."""
    passwords = {str(value) for value in json.loads((home / "secrets.json").read_text()).values()}
    lines = [line for path in home.rglob("private/*.pem") for line in path.read_text().splitlines()]
    keys = {line for line in lines if line and not line.startswith("-")}
    assert len(passwords) > 5
    assert len(keys) > 5
    return passwords | keys


def session_of_canaries(url: str) -> tuple[set[str], list[str]]:
    """Send secrets wherever secrets are sent, rightly and wrongly; the secrets, and every refusal as it came."""
    canary = f"canary{secrets.token_hex(8)}"
    email, password = f"p{secrets.token_hex(6)}@example.com", f"{canary}-password"
    sent, refusals = {canary}, []

    def post(path: str, body: Any, **headers: str) -> Any:
        answer = requests.post(url + path, json=body, headers=headers, timeout=15)
        if answer.status_code >= 400:
            refusals.append(answer.text + str(answer.headers))
            return {}
        return answer.json()

    post("/auth/register", {"email": email, "password": password})
    post("/auth/register", {"email": email, "password": password})
    post("/auth/register", {"email": f"{email}.", "password": password, "username": "!"})
    post("/auth/login", {"email": email, "password": f"{canary}-wrong"})
    post("/auth/login", {"email": email, "password": [password]})
    post("/auth/refresh", {"refresh_token": f"rt_{canary}"})
    post("/auth/validate-token", {"token": canary, "more": 1})
    grant = post("/auth/login", {"email": email, "password": password})
    sent |= {grant["access_token"], grant["refresh_token"]}
    bearer = {"Authorization": f"Bearer {grant['access_token']}"}
    post("/auth/password/change", {"current_password": f"{canary}-x", "new_password": password}, **bearer)
    post("/api/customers", {"name": 1}, **bearer)
    post("/api/customers", {"name": "Ana"}, Authorization=f"Bearer {canary}.e30.{canary}")
    post("/api/customers", {"name": "Ana"}, Authorization=f"Basic {canary}", Cookie=f"session={canary}")
    post(f"/api/{canary}", {}, **bearer)
    requests.get(f"{url}/api/customers", params={"search": canary}, headers=bearer, timeout=15)
    return sent, refusals


@pytest.mark.long
def test_no_secret_comes_out_of_any_process(talkative: Running, tally: Tally) -> None:
    sent, refusals = session_of_canaries(talkative.url)
    assert len(refusals) > 8
    told = {f"{name}{page}": _page(port, page) for name, port in talkative.ports.items() for page in PAGES}
    assert sum(map(bool, told.values())) > 4 * len(talkative.ports)
    told |= {"refusals": "\n".join(refusals), "output": talkative.output.read_text()}
    told |= {str(path): path.read_text("utf-8", "ignore") for path in talkative.home.rglob("*.log")}
    assert '"level":"DEBUG"' in told["output"]
    found = [
        f"{where}: {secret[:12]}"
        for secret in sent | kept_secrets(talkative.home)
        for where, text in told.items()
        if any(spelling in text for spelling in spellings(secret))
    ]
    tally("places where a secret could show", tried=len(told), bad=len(found))
    assert found == []


def _page(port: int, page: str) -> str:
    answer = requests.get(f"http://127.0.0.1:{port}{page}", timeout=15)
    return answer.text + str(answer.headers) if answer.ok else ""
