"""What the OpenAPI document promises, asked with what it allows and with what it forbids, as two tenants."""

import os
import re
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

from alicerce.services import services
from gateway import routes
from tests.api import Api
from tests.security.documented import Operation, World, operations
from tests.tables import Tally

PER_OPERATION = 200 if os.environ.get("LONG") else 4
CHECKS = [
    not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_schema_conformance,
    checks.response_headers_conformance,
    checks.negative_data_rejection,
]
# The same cases in every run, so that what fails for one fails for all.
REPEATABLE = settings(
    max_examples=PER_OPERATION,
    derandomize=True,
    database=None,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
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


def contradictions(
    operation: Operation, told: Any, platform: Any, known: list[Operation], statuses: Counter[int]
) -> list[str]:
    """Every answer of an operation that breaks a promise of its document, in words."""
    world, other = World(platform, known), World(platform, known)
    ids = world.fresh(operation.parameters, operation.path)
    found: list[str] = []
    cases = st.sampled_from(MODES).flatmap(lambda mode: told.as_strategy(generation_mode=mode))

    @REPEATABLE
    @given(case=cases, is_stranger=st.booleans(), leads_somewhere=st.sampled_from([True, True, True, False]))
    def ask(case: Any, is_stranger: bool, leads_somewhere: bool) -> None:
        if leads_somewhere and ids:
            case.path_parameters = ids
        who = (other if is_stranger else world).person
        answer = case.call(headers={"Authorization": f"Bearer {who.token}", "Accept-Encoding": "identity"})
        statuses[answer.status_code] += 1
        try:
            case.validate_response(answer, checks=CHECKS)
        except FailureGroup as group:
            found.extend(f"{operation}: {failure.title}: {failure.message[:300]}" for failure in group.exceptions)

    ask()
    return found
