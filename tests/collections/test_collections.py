"""The files of `collections/`: up to date, complete, and true of the platform."""

import json
import re
from typing import Any

import pytest

from scripts.collection_files.__main__ import FOLDER, files
from scripts.collection_files.plan import REFERENCE, operations, plan
from scripts.collection_files.story import CHAPTERS
from tests.api import Api
from tests.collections.runner import Run, environment_of, requests_of

POSTMAN, ENVIRONMENT = "alicerce.postman_collection.json", "alicerce.postman_environment.json"
INSOMNIA = "alicerce.insomnia.json"
UUID = "[0-9a-f]{8}-[0-9a-f-]{27}"


@pytest.fixture(scope="module")
def document(platform: Any) -> Any:
    return Api(platform).get("/openapi.json").ok()


def read(name: str) -> Any:
    return json.loads((FOLDER / name).read_text("utf-8"))


def postman_requests() -> list[Any]:
    return [item for folder in read(POSTMAN)["item"] for item in folder["item"]]


def told_requests(tool: str) -> list[Any]:
    """The requests of the story. What Postman inherits stands in them."""
    if tool == "insomnia":
        return requests_of(read(INSOMNIA))
    collection = read(POSTMAN)
    folders = [folder["item"] for folder in collection["item"] if folder["name"] != REFERENCE]
    return [item | {"auth": item["request"].get("auth", collection["auth"])} for items in folders for item in items]


def test_the_committed_files_are_those_that_would_be_written_now(document: Any) -> None:
    stale = [name for name, text in files(document).items() if (FOLDER / name).read_text("utf-8") != text]
    assert not stale, "write them anew: make collections"


def test_every_public_operation_is_there(document: Any) -> None:
    def shape(method: str, address: str) -> str:
        path = re.sub(r"^{{( _\.)?baseUrl ?}}|\?.*", "", address)
        return f"{method} {re.sub('{{.*?}}|' + UUID, '*', path)}"

    public = {f"{one.method} {re.sub('{[^}]+}', '*', one.path)}" for one in operations(document).values()}
    in_postman = {shape(one["request"]["method"], one["request"]["url"]["raw"]) for one in postman_requests()}
    in_insomnia = {shape(one["method"], one["url"]) for one in requests_of(read(INSOMNIA), examples=True)}
    assert public == in_postman == in_insomnia


def test_no_description_says_a_thing_twice() -> None:
    for request in requests_of(read(INSOMNIA), examples=True):
        paragraphs = request["description"].split("\n\n")
        assert len(set(paragraphs)) == len(paragraphs), request["name"]


def test_no_two_requests_have_one_name_or_one_id() -> None:
    for found in (postman_requests(), requests_of(read(INSOMNIA), examples=True)):
        for key in ("name", "_id", "id"):
            values = [one[key] for one in found if key in one]
            assert len(values) == len(set(values)), key


@pytest.mark.parametrize("tool", ["pm", "insomnia"])
def test_every_variable_is_declared_and_set_before_it_is_used(tool: str) -> None:
    declared = {one["key"]: one["value"] for one in read(ENVIRONMENT)["values"]}
    assert environment_of(read(INSOMNIA)) == declared
    known = {"baseUrl"}
    for request in told_requests(tool):
        text = json.dumps(request).replace('\\"', '"')
        assert set(re.findall(r"{{(?: _\.)?(\w+) ?}}", text)) <= known, request["name"]
        known |= set(re.findall(tool + r'\.environment\.set\("(\w+)"', text))
    assert known <= declared.keys()


def test_what_the_story_leaves_out_is_in_the_reference_folder(document: Any) -> None:
    folders = plan(document, CHAPTERS[:1])
    assert [folder.name for folder in folders] == [CHAPTERS[0].name, REFERENCE]
    assert {one.operation for folder in folders for one in folder.requests} == operations(document).keys()
    by_id = {one.operation: one for one in folders[1].requests}
    paid = by_id["interaction.settle_transaction"]
    assert paid.path == "/api/customers/{{customerId}}/transactions/{{transactionId}}/settle"
    assert paid.headers["Idempotency-Key"]
    assert json.loads(by_id["customer.create_customer"].body)["name"]


def test_a_wrong_answer_fails_the_run(platform: Any) -> None:
    export = read(INSOMNIA)
    first, second = requests_of(export)[:2]
    first["url"] = first["url"].replace("register", "login")
    export["resources"] = [one for one in export["resources"] if one["_type"] != "request"] + [first, second]
    registered, repeated = Run(export, platform)
    assert registered.status == 422
    assert registered.failures[0] == "status 201: 422"
    assert "user.email is there: None" in registered.failures
    assert repeated.failures, "what it needs of the first answer is not there"


@pytest.mark.parametrize("time", ["once", "again"])
def test_the_story_holds_on_this_platform(platform: Any, time: str) -> None:
    failed = [str(outcome) for outcome in Run(read(INSOMNIA), platform) if outcome.failures]
    assert not failed, "\n".join(failed)
