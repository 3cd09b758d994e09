"""What the OpenAPI document promises, asked with what it allows and with what it forbids, as two tenants."""

import os
import re
import secrets
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import FailureGroup
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi import checks
from werkzeug.datastructures import Headers
from werkzeug.test import EnvironBuilder, TestResponse

from alicerce.services import services
from gateway import routes
from scripts.collection_files.story import CHAPTERS
from tests.api import Api, Person
from tests.security.documented import KEY, Operation, World, operations
from tests.security.twin import world as twin
from tests.tables import Tally

PER_OPERATION = 200 if os.environ.get("LONG") else 4
PROMISES = [
    not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_schema_conformance,
    checks.response_headers_conformance,
]
CHECKS = [*PROMISES, checks.negative_data_rejection]
# The same cases in every run, so that what fails for one fails for all.
REPEATABLE = settings(
    max_examples=PER_OPERATION,
    derandomize=True,
    database=None,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
UNAUTHENTICATED = 401
FAILED = 400
SERVER_FAILED = 500
REPEATED = ("GET", "PUT")
# Which operations the story never does with success: only an administrator of the platform can.
UNTOLD = {"tenant.activate_tenant"}
MODES = (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)


def with_whole_target(app: Any) -> Callable[..., Any]:
    """The same app, told the query in the raw target too, as a server does and werkzeug's client does not."""

    def answer(environ: dict[str, Any], start_response: Any) -> Any:
        query = environ["QUERY_STRING"]
        target = environ["RAW_URI"].partition("?")[0] + (f"?{query}" if query else "")
        return app(environ | {"RAW_URI": target}, start_response)

    return answer


@pytest.fixture(scope="module")
def described(platform: Any) -> dict[str, Any]:
    """Every operation as schemathesis reads it, by method and path; it is we who log in."""
    document = Api(platform).get("/openapi.json").ok()
    for item in document["paths"].values():
        for told in item.values():
            del told["security"]
    schema = schemathesis.openapi.from_dict(document)
    schema.app = with_whole_target(platform)
    found = [result.ok() for result in schema.get_all_operations()]
    return {f"{operation.method.upper()} {operation.path}": operation for operation in found}


def test_the_merged_document_holds_every_row_of_the_table_and_no_other(platform: Any) -> None:
    rows = {f"{row.method} {row.prefix}{row.path}" for row in routes.operations() if row.prefix == row.door.prefixes[0]}
    assert {re.sub(r"{\w+}", "<id>", str(operation)) for operation in operations(platform)} == rows


@pytest.mark.parametrize("service", services())
def test_every_answer_is_one_that_the_document_shows(
    service: str, platform: Any, described: dict[str, Any], tally: Tally
) -> None:
    known = operations(platform)
    statuses: Counter[int] = Counter()
    failures: list[str] = []
    for operation in known:
        if operation.service == service:
            failures += contradictions(operation, described[str(operation)], platform, known, statuses)
    tally("answers that the document does not show", tried=statuses.total(), bad=len(failures))
    assert failures == []
    assert len(statuses) > 3, "hardly anything was reached"


def test_every_step_of_the_story_is_answered_as_the_document_shows(
    platform: Any, described: dict[str, Any], tally: Tally
) -> None:
    """Its steps build on each other, so that every operation succeeds at least once, as few random requests do."""
    document = Api(platform).get("/openapi.json").ok()
    by_id = {operation.told["operationId"]: described[str(operation)] for operation in operations(platform)}
    reached: list[str] = []
    failures: list[str] = []
    for name, told in twin.World(document, platform).chapters(CHAPTERS):
        failures += [f"{name}: {broken}" for broken in broken_promises(by_id[name], told)]
        reached += [name] if told.status < FAILED else []
    tally("answers that the document does not show", tried=len(reached), bad=len(failures))
    assert failures == []
    assert by_id.keys() - reached <= UNTOLD


def test_somebody_without_a_tenant_is_answered_as_the_document_shows(
    platform: Any, described: dict[str, Any], owner: Person
) -> None:
    owner.delete(f"/api/tenants/{owner.tenant_id}").ok()
    login = twin.Sent("POST", "/auth/login", body={"email": owner.email, "password": owner.password}).to(platform)
    token = login.json["access_token"]
    answers = {
        "POST /auth/login": login,
        "GET /auth/me": twin.Sent("GET", "/auth/me").to(platform, token),
        "POST /auth/validate-token": twin.Sent("POST", "/auth/validate-token", body={"token": token}).to(platform),
    }
    assert [answer.json["tenant_id"] for answer in answers.values()] == [None] * 3
    assert [broken for name, answer in answers.items() for broken in broken_promises(described[name], answer)] == []


def broken_promises(told: Any, answer: twin.Told) -> list[str]:
    """What an operation's document does not say of an answer, in words."""
    asked = EnvironBuilder().get_request()
    response = TestResponse([answer.body.encode()], answer.status_line, Headers(answer.headers), asked)
    try:
        told.Case().validate_response(response, checks=PROMISES)
    except FailureGroup as group:
        return [in_words(failure) for failure in group.exceptions]
    return []


def in_words(failure: Any) -> str:
    return f"{failure.title}: {failure.message[:300]}"


def contradictions(
    operation: Operation, told: Any, platform: Any, known: list[Operation], statuses: Counter[int]
) -> list[str]:
    """Every answer of an operation that breaks a promise of its document, in words."""
    worlds = [World(platform, known), World(platform, known)]
    ids = worlds[0].fresh(operation.parameters, operation.path)
    found: list[str] = []
    cases = st.sampled_from(MODES).flatmap(lambda mode: told.as_strategy(generation_mode=mode))

    @REPEATABLE
    @given(case=cases, is_stranger=st.booleans(), leads_somewhere=st.sampled_from([True, True, True, False]))
    def ask(case: Any, is_stranger: bool, leads_somewhere: bool) -> None:
        if leads_somewhere and ids:
            case.path_parameters = dict(ids)
        who = worlds[is_stranger].person
        answer = case.call(headers={"Authorization": f"Bearer {who.token}", "Accept-Encoding": "identity"})
        statuses[answer.status_code] += 1
        # What was done can often be done once only. The next case finds a person and records as the first one did.
        is_out = answer.status_code == UNAUTHENTICATED and who.get("/auth/me").status == UNAUTHENTICATED
        if is_out:
            worlds[is_stranger] = World(platform, known)
        if is_out or (answer.status_code < FAILED and operation.method not in REPEATED):
            ids.update(worlds[0].fresh(operation.parameters, operation.path))
        try:
            case.validate_response(answer, checks=CHECKS)
        except FailureGroup as group:
            found.extend(f"{operation}: {in_words(failure)}" for failure in group.exceptions)

    ask()
    return found


def test_a_body_is_required_exactly_where_its_absence_is_refused(platform: Any) -> None:
    known = operations(platform)
    world, wrong = World(platform, known), []
    for operation in known:
        if "requestBody" not in operation.told:
            continue
        headers = {KEY: secrets.token_hex(8)} if operation.has_header(KEY) else {}
        answer = world.person.request(operation.method, world.address(operation), headers=headers)
        is_refused = FAILED <= answer.status < SERVER_FAILED
        if operation.told["requestBody"].get("required", False) is not is_refused:
            wrong.append(f"{operation}: {answer.status}")
        if not is_refused:
            world = World(platform, known)  # it may have logged out
    assert wrong == []


def test_an_address_may_be_too_long_where_there_is_a_query(platform: Any) -> None:
    for operation in operations(platform):
        has_query = any(part["in"] == "query" for part in operation.told.get("parameters", []))
        assert ("414" in operation.told["responses"]) is has_query, operation
