"""The files of `collections/`: up to date, complete, and true of the platform."""

import json
import re
from typing import Any

import pytest

from scripts.collections.__main__ import FOLDER, files
from scripts.collections.plan import REFERENCE, operations, plan
from scripts.collections.story import CHAPTERS
from tests.api import Api
from tests.collections.runner import Run, environment_of, requests_of

POSTMAN, ENVIRONMENT = "alicerce.postman_collection.json", "alicerce.postman_environment.json"
INSOMNIA = "alicerce.insomnia.json"


@pytest.fixture(scope="module")
def document(platform: Any) -> Any:
    return Api(platform).get("/openapi.json").ok()


def read(name: str) -> Any:
    return json.loads((FOLDER / name).read_text("utf-8"))


def postman_requests() -> list[Any]:
    return [item for folder in read(POSTMAN)["item"] for item in folder["item"]]


def test_the_committed_files_are_those_that_would_be_written_now(document: Any) -> None:
    stale = [name for name, text in files(document).items() if (FOLDER / name).read_text("utf-8") != text]
    assert not stale, "write them anew: make collections"


def test_every_public_operation_is_there(document: Any) -> None:
    def shape(method: str, address: str) -> str:
        path = re.sub(r"^{{( _\.)?baseUrl ?}}|\?.*", "", address)
        return f"{method} {re.sub(r'{[{%].*?[%}]}|' + UUID, '*', path)}"

    public = {f"{one.method} {re.sub('{[^}]+}', '*', one.path)}" for one in operations(document).values()}
    in_postman = {shape(one["request"]["method"], one["request"]["url"]["raw"]) for one in postman_requests()}
    in_insomnia = {shape(one["method"], one["url"]) for one in requests_of(read(INSOMNIA), examples=True)}
    assert public == in_postman == in_insomnia


UUID = "[0-9a-f]{8}-[0-9a-f-]{27}"


def test_no_two_requests_have_one_name_or_one_id() -> None:
    for found in (postman_requests(), requests_of(read(INSOMNIA), examples=True)):
        for key in ("name", "_id", "id"):
            values = [one[key] for one in found if key in one]
            assert len(values) == len(set(values)), key


def test_every_postman_variable_is_set_before_it_is_used() -> None:
    declared = {one["key"]: one["value"] for one in read(ENVIRONMENT)["values"]}
    known = {name for name, value in declared.items() if value} | {"$guid"}
    default = json.dumps(read(POSTMAN)["auth"])
    for folder in read(POSTMAN)["item"]:
        for item in folder["item"]:
            sent = json.dumps(item["request"]) + (default if "auth" not in item["request"] else "")
            used = set(re.findall(r"{{([$\w]+)}}", sent))
            assert used <= (known if folder["name"] != REFERENCE else known | declared.keys()), item["name"]
            known |= set(re.findall(r'pm\.environment\.set\("(\w+)"', json.dumps(item).replace('\\"', '"')))
    assert known - {"$guid"} <= declared.keys()


def test_every_insomnia_tag_refers_to_an_earlier_request() -> None:
    export = read(INSOMNIA)
    earlier: set[str] = set()
    for request in requests_of(export, examples=True):
        text = json.dumps(request)
        assert set(re.findall(r"response 'body', '(\w+)'", text)) <= earlier, request["name"]
        assert set(re.findall(r"{{ _\.(\w+) }}", text)) <= environment_of(export).keys(), request["name"]
        earlier.add(request["_id"])


def test_what_the_story_leaves_out_is_in_the_reference_folder(document: Any) -> None:
    folders = plan(document, CHAPTERS[:1])
    assert [folder.name for folder in folders] == [CHAPTERS[0].name, REFERENCE]
    assert {one.operation for folder in folders for one in folder.requests} == operations(document).keys()
    by_id = {one.operation: one for one in folders[1].requests}
    paid = by_id["interaction.settle_transaction"]
    assert paid.path == "/api/customers/{{customerId}}/transactions/{{transactionId}}/settle"
    assert paid.headers["Idempotency-Key"]
    assert json.loads(by_id["customer.create_customer"].body)["name"]


@pytest.mark.parametrize("time", ["once", "again"])
def test_the_story_holds_on_this_platform(platform: Any, time: str) -> None:
    failed = [str(outcome) for outcome in Run(read(INSOMNIA), platform) if outcome.failures]
    assert not failed, "\n".join(failed)
