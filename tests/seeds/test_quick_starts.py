"""The first steps of each document, with our names in the place of theirs, on a running platform."""

import os
import subprocess
import sys

import pytest
import requests

from alicerce.services import services
from tests.api import Api
from tests.topologies import ROOT, Running


@pytest.mark.parametrize("service", services())
def test_each_service_answers_for_itself_on_its_own_port(split: Running, service: str) -> None:
    address = f"http://127.0.0.1:{split.ports[service]}"
    assert Api(address).get("/health").ok()["status"] == "healthy"
    assert "swagger" in Api(address).get("/docs").ok().lower()
    assert Api(address).get("/openapi.json").ok()["openapi"].startswith("3.")


def test_the_gateway_answers_for_all_of_them(split: Running) -> None:
    assert Api(split.url).get("/health").ok()["services"] == dict.fromkeys(services(), "healthy")


def test_the_example_company_is_there_after_one_command_and_unchanged_by_a_second(solo: Running) -> None:
    shown = [seed(solo), seed(solo)]
    assert shown[0] == shown[1]
    login = {"username": "ana@padaria.example", "password": "correct horse battery"}
    token = Api(solo.url).post("/auth/login", login).ok()["access_token"]
    ana = Api(solo.url, token)
    totals = {name: ana.get(f"/api/{name}").ok()["total"] for name in ("customers", "products", "interactions")}
    assert totals == {"customers": 18, "products": 16, "interactions": 15}
    assert ana.get("/api/transactions").ok()["total"] > 18  # and their settlements


def seed(platform: Running) -> str:
    command = [sys.executable, ROOT / "scripts" / "seed_data.py"]
    done = subprocess.run(command, env={**os.environ, "API": platform.url}, check=True, capture_output=True, text=True)
    return done.stdout


def test_seeding_what_does_not_run_says_what_to_do() -> None:
    command = [sys.executable, ROOT / "scripts" / "seed_data.py"]
    refused = subprocess.run(command, env={**os.environ, "API": "http://127.0.0.1:9"}, capture_output=True, text=True)
    assert refused.returncode == 1
    assert "make run" in refused.stderr


def test_a_collection_of_requests_is_at_hand_and_says_where_it_goes(solo: Running) -> None:
    for name in ("alicerce.postman_collection.json", "alicerce.insomnia.json"):
        assert (ROOT / "collections" / name).read_text("utf-8").count("baseUrl") > 50
    assert requests.get(f"{solo.url}/openapi.json", timeout=10).json()["info"]["title"] == "Alicerce"
