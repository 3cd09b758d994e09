"""One document of all that is public, and a page over it."""

import json
import re
from collections import Counter
from typing import Any

import pytest
from werkzeug.test import Client

from gateway import documents
from gateway.documents import Documents, merge
from gateway.routes import TABLE, Door, operations
from gateway.upstream import Answer, Request, Upstream
from tests.api import Api, Person
from tests.services.helpers import unreachable
from tests.topologies import Running

METHODS = ("get", "post", "put", "patch", "delete")
PUBLIC = [op for op in operations() if op.prefix == op.door.prefixes[0]]


@pytest.fixture
def document(api: Api) -> Any:
    return api.get("/openapi.json").ok()


def every_operation(document: Any) -> list[tuple[str, str, Any]]:
    return [(method, path, item[method]) for path, item in document["paths"].items() for method in item]


def by_id(document: Any, operation_id: str) -> Any:
    return next(op for _, _, op in every_operation(document) if op["operationId"] == operation_id)


def every_ref(part: Any) -> set[str]:
    if isinstance(part, dict):
        own = {part["$ref"]} if isinstance(part.get("$ref"), str) else set()
        return own.union(*(every_ref(inner) for inner in part.values()))
    return set().union(*(every_ref(inner) for inner in part)) if isinstance(part, list) else set()


def header(operation: Any, name: str) -> Any:
    return next((one for one in operation.get("parameters", ()) if (one["in"], one["name"]) == ("header", name)), None)


# --- The document ----------------------------------------------------------------------------------------------------


def test_it_is_the_public_table_and_nothing_else(document: Any) -> None:
    shown = {f"{method.upper()} {re.sub('{[^}]+}', '<id>', path)}" for method, path, _ in every_operation(document)}
    assert shown == {f"{op.method} {op.prefix}{op.path}" for op in PUBLIC}
    assert "x-unavailable" not in document
    assert "/internal" not in json.dumps(document["paths"])


def test_every_reference_leads_somewhere_and_nothing_is_left_over(document: Any) -> None:
    components = {
        f"#/components/{kind}/{name}"
        for kind, named in document["components"].items()
        for name in named
        if kind != "securitySchemes"
    }
    assert every_ref(document) == components
    assert not [name for name in components if "ErrorSchema" in name or "Pagination" in name or "DEFAULT" in name]
    assert all(re.fullmatch(r"[a-zA-Z0-9._-]+", name.rpartition("/")[2]) for name in components)


def test_operations_are_whole(document: Any) -> None:
    assert document["openapi"].startswith("3.1")
    ids = Counter(op["operationId"] for _, _, op in every_operation(document))
    assert [name for name, count in ids.items() if count > 1] == []
    tags = {tag["name"] for tag in document["tags"]}
    for method, path, op in every_operation(document):
        where = f"{method} {path}"
        assert method in METHODS, where
        assert op["summary"], where
        assert set(op["tags"]) <= tags, where
        assert len(op["tags"]) == 1, where
        assert len(op["summary"]) > 8 and op["summary"].endswith((".", ")")), where
        in_path = [one["name"] for one in op.get("parameters", ()) if one["in"] == "path"]
        assert sorted(in_path) == sorted(re.findall("{([^}]+)}", path)), where
        assert any(status.startswith("2") for status in op["responses"]), where
        assert {"400", "401", "404", "429", "500", "502", "503", "504"} <= set(op["responses"]), where


def test_every_error_is_a_problem_document(document: Any) -> None:
    for _, path, op in every_operation(document):
        for status, answer in op["responses"].items():
            if not status.startswith(("4", "5")):
                continue
            if "$ref" in answer:
                answer = document["components"]["responses"][answer["$ref"].rpartition("/")[2]]
            assert answer["description"], path
            assert set(answer["content"]) == {"application/problem+json"}, path
            body = answer["content"]["application/problem+json"]
            shown = [one["value"] for one in body["examples"].values()] if "examples" in body else [body["example"]]
            assert {one["status"] for one in shown} == {int(status)}, path
            assert set(body.get("examples", {})) in (set(), {one["code"] for one in shown}), path


def codes(document: Any, operation_id: str, status: str) -> set[str]:
    """The codes that an operation is told to answer with a status."""
    answer = by_id(document, operation_id)["responses"][status]
    return set(answer.get("content", {}).get("application/problem+json", {}).get("examples", ()))


def test_an_operation_names_the_codes_that_its_verb_raises(document: Any) -> None:
    assert codes(document, "auth.register", "409") == {"email_taken", "username_taken", "already_exists", "conflict"}
    assert codes(document, "auth.login", "401") == {"invalid_credentials", "unauthenticated"}
    assert "customer_has_transactions" in codes(document, "customer.remove_customer", "409")
    assert "customer_has_transactions" not in codes(document, "customer.update_customer", "409")
    assert "already_settled" in codes(document, "interaction.settle_transaction", "409")
    assert "409" not in by_id(document, "product.list_products")["responses"]


def test_the_chapters_tell_a_story(document: Any) -> None:
    titles = [tag["name"] for tag in document["tags"]]
    assert titles[:4] == ["Logging in", "Tenants", "Members", "Customers"]
    assert all(tag["description"].endswith(".") for tag in document["tags"])
    chapters = {op["operationId"]: op["tags"][0] for _, _, op in every_operation(document)}
    assert chapters["customer.list_customers"] == "Customers"
    assert chapters["customer.list_duplicates_of"] == "Duplicates"
    assert chapters["customer.export_customer"] == "Privacy"
    assert chapters["customer.export_customers"] == "Import and export"
    assert chapters["product.get_category"] == "Categories"
    assert chapters["interaction.download_statement"] == "Money"


def test_a_service_that_no_chapter_names_has_one_of_its_own() -> None:
    told = things("string") | {"info": {"description": "Ones, and nothing else.\n\nMore of it."}}
    assert merge(DOORS[:1], {"one": told})["tags"] == [{"name": "One", "description": "Ones, and nothing else."}]


def test_who_may_call_is_what_the_table_marks(document: Any) -> None:
    schemes = document["components"]["securitySchemes"]
    expected = {"open": [], "optional": [{}, {"bearer": []}, {"publishableKey": []}], "": [{"bearer": []}]}
    marks = {(op.method.lower(), op.prefix + op.path): op.mark for op in PUBLIC}
    for method, path, op in every_operation(document):
        assert op["security"] == expected[marks[method, re.sub("{[^}]+}", "<id>", path)]], path
        assert {name for way in op["security"] for name in way} <= set(schemes)
    assert by_id(document, "customer.create_customer")["x-permission"] == "customer:write"


def test_keys_and_tags_of_entities_stand_where_they_are_obeyed(document: Any) -> None:
    for method, path, op in every_operation(document):
        key = header(op, "Idempotency-Key")
        assert (key is not None) == (method == "post" and not op["operationId"].startswith("auth.")), path
        assert (header(op, "If-Match") is not None) == (method in ("put", "patch", "delete")), path
        assert ("428" in op["responses"]) == bool(key and key["required"]), path
    assert header(by_id(document, "interaction.record_transaction"), "Idempotency-Key")["required"]


def test_files_are_shown_as_files(document: Any) -> None:
    for path in ("/api/customers/export.csv", "/api/customers/{customer_id}/statement.csv"):
        assert set(document["paths"][path]["get"]["responses"]["200"]["content"]) == {"text/csv"}
    upload = document["paths"]["/api/customers/import"]["post"]["requestBody"]["content"]
    assert set(upload) == {"text/csv", "multipart/form-data"}
    told = document["paths"]["/api/customers/import"]["post"]["responses"]
    assert set(told["415"]["content"]["application/problem+json"]["examples"]) >= {"not_a_csv_file"}
    assert {"413", "415"} <= set(told)
    assert "413" not in document["paths"]["/api/customers/{customer_id}/activate"]["patch"]["responses"]


@pytest.mark.parametrize(
    "operation_id",
    [
        "customer.create_customer",
        "customer.upsert_batch",
        "tenant.create_tenant",
        "product.create_product",
        "product.create_category",
        "interaction.create_type",
    ],
)
def test_the_examples_are_accepted(document: Any, owner: Person, operation_id: str) -> None:
    path, op = next((path, op) for _, path, op in every_operation(document) if op["operationId"] == operation_id)
    answer = owner.post(path, op["requestBody"]["content"]["application/json"]["example"])
    assert answer.status in (200, 201), answer.json


def test_one_registers_and_logs_in_by_the_examples(document: Any, api: Api) -> None:
    def body(operation_id: str) -> Any:
        return by_id(document, operation_id)["requestBody"]["content"]["application/json"]["example"]

    assert api.post("/auth/register", body("auth.register")).status in (201, 409)
    assert api.post("/auth/login", body("auth.login")).ok()["access_token"]


def test_it_needs_no_token_and_is_not_sent_twice(platform: Any) -> None:
    first = Client(platform).get("/openapi.json")
    again = Client(platform).get("/openapi.json", headers={"If-None-Match": first.headers["ETag"]})
    assert (first.status_code, again.status_code) == (200, 304)
    assert first.headers["Cache-Control"] == "no-cache"


def test_it_is_the_same_over_http(split: Running, document: Any) -> None:
    assert Api(split.url).get("/openapi.json").ok() == document


# --- How it is put together ------------------------------------------------------------------------------------------


def test_the_same_services_give_the_same_bytes(platform: Any) -> None:
    upstreams = platform.proxy.upstreams
    assert Documents(TABLE, upstreams).current() == Documents(TABLE, upstreams).current()


def test_a_service_that_is_away_is_named_and_soon_asked_again(platform: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(documents, "AGE_INCOMPLETE_S", -1.0)
    merged = Documents(TABLE, platform.proxy.upstreams)
    with unreachable("tenant"):
        without = json.loads(merged.current())
    assert without["x-unavailable"] == ["tenant"]
    assert "/api/tenants" not in without["paths"]
    assert "/api/customers" in without["paths"]
    whole = json.loads(merged.current())
    assert "x-unavailable" not in whole
    assert "/api/tenants" in whole["paths"]


class Fixed:
    """A service that gives one answer, and counts how often."""

    def __init__(self, status: int, body: bytes) -> None:
        self.status, self.body, self.asked = status, body, 0

    def send(self, request: Request) -> Answer:
        self.asked += 1
        return Answer(self.status, [], Pieces([self.body]))


class Pieces(list[bytes]):
    """A body that is there already."""

    def __next__(self) -> bytes:
        if not self:
            raise StopIteration
        return self.pop()

    def __iter__(self) -> Any:
        return self

    def close(self) -> None:
        self.clear()


@pytest.mark.parametrize(("status", "body"), [(200, b"<html>"), (200, b"[]"), (200, b"{}"), (500, b"{}")])
def test_what_says_nothing_usable_counts_as_away(status: int, body: bytes) -> None:
    upstreams = {"tenant": Upstream("tenant", Fixed(status, body))}
    assert json.loads(Documents(TABLE, upstreams).current())["x-unavailable"] == ["tenant"]


def test_a_whole_document_is_kept() -> None:
    told = Fixed(200, json.dumps(things("string")).encode())
    merged = Documents(DOORS[:1], {"one": Upstream("one", told)})
    assert merged.current() == merged.current()
    assert told.asked == 1


DOORS = (Door("one", ("/api", "/one"), "GET /ones/<id>"), Door("two", ("/api", "/two"), "GET /twos/<id>  open"))


def things(kind: str, path: str = "/ones/{one_id}") -> dict[str, Any]:
    """A document whose `kit.Thing` is of this kind, and which has something inside that nobody may see."""
    schema = {"$ref": "#/components/schemas/kit.Whole"}
    operation = {"responses": {"200": {"description": "Here.", "content": {"application/json": {"schema": schema}}}}}
    return {
        "paths": {path: {"get": operation}, "/internal/secrets": {"get": operation}},
        "components": {
            "schemas": {
                "kit.Whole": {"properties": {"part": {"$ref": "#/components/schemas/kit.Thing"}}},
                "kit.Thing": {"type": kind},
                "kit.Secret": {"type": "string"},
                "kit.Problem": {"type": "object"},
            }
        },
    }


def test_what_two_services_call_alike_stays_apart_when_it_differs() -> None:
    document = merge(DOORS, {"one": things("string"), "two": things("integer", "/twos/{two_id}/")})
    assert set(document["paths"]) == {"/api/ones/{one_id}", "/api/twos/{two_id}"}
    schemas = document["components"]["schemas"]
    assert schemas["kit.Thing"] == {"type": "string"}
    assert schemas["two.kit.Thing"] == {"type": "integer"}
    assert schemas["two.kit.Whole"]["properties"]["part"] == {"$ref": "#/components/schemas/two.kit.Thing"}
    assert every_ref(document["paths"]["/api/twos/{two_id}"]) == {
        "#/components/schemas/two.kit.Whole",
        "#/components/schemas/two.kit.Problem",
    }
    assert not [name for name in schemas if "Secret" in name]


def test_what_two_services_call_alike_is_one_thing_when_it_is_the_same() -> None:
    document = merge(DOORS, {"one": things("string"), "two": things("string", "/twos/{two_id}")})
    assert set(document["components"]["schemas"]) == {"kit.Whole", "kit.Thing", "kit.Problem"}


# --- The page --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/docs", "/docs/"])
def test_the_page_runs_only_what_this_origin_serves(platform: Any, path: str) -> None:
    answer = Client(platform).get(path)
    assert answer.status_code == 200
    assert answer.content_type == "text/html; charset=utf-8"
    policy = dict(part.split(" ", 1) for part in answer.headers["Content-Security-Policy"].split("; "))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
    assert policy["frame-ancestors"] == "'none'"
    assert "//" not in answer.text.replace("https://", "//")
    assert not re.search(r"<script(?![^>]* src=)|<style| on\w+=| style=", answer.text)


def test_everything_that_the_page_asks_for_is_there_and_stays(platform: Any) -> None:
    page = Client(platform).get("/docs").text
    asked = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert len(asked) == 4
    for address in asked:
        answer = Client(platform).get(address)
        assert answer.status_code == 200, address
        assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert "v=" in address
    assert '"/openapi.json"' in Client(platform).get("/docs/start.js").text


@pytest.mark.parametrize("name", ["index.html", "VERSION", "swagger-ui.js", "..", "%2e%2e", "..%2f__init__.py", "x/y"])
def test_no_other_file_is_there(platform: Any, name: str) -> None:
    assert Client(platform).get(f"/docs/{name}").status_code in (400, 404)
    assert Client(platform).get("/docs/").status_code == 200
