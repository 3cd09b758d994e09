"""The public table: what is found, under which address, and what may not even be looked for."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway import routes

ROOT = routes.build()
ID = "01a1fbc0-d2d6-7e79-93db-6f4ea50712e5"


@pytest.mark.parametrize(
    ("method", "path", "service", "forwarded"),
    [
        ("POST", "/auth/login", "auth", "/login"),
        ("POST", "/api/auth/login", "auth", "/login"),
        ("GET", "/api/customers", "customer", "/customers"),
        ("GET", "/api/customers/", "customer", "/customers/"),
        ("GET", f"/customer/customers/{ID}", "customer", f"/customers/{ID}"),
        ("PATCH", f"/api/customers/{ID}/activate/", "customer", f"/customers/{ID}/activate/"),
        ("GET", f"/tenant/tenants/{ID}/settings", "tenant", f"/tenants/{ID}/settings"),
        ("HEAD", "/api/customers", "customer", "/customers"),
    ],
)
def test_an_address_leads_to_its_service_without_the_prefix(
    method: str, path: str, service: str, forwarded: str
) -> None:
    node = routes.find(ROOT, path)
    assert node is not None
    operation = node.operations[method]
    assert (operation.service, path[len(operation.prefix) :]) == (service, forwarded)


@pytest.mark.parametrize(
    "path",
    [
        *("/", "/api", "/api/", "/customer", "/customers", "/customer/metrics", "/customer/health", "/auth"),
        *("/api/internal/revocations", "/auth/internal/users", "/tenant/internal/tenants/x", "/api/customers/x/y"),
    ],
)
def test_what_is_not_in_the_table_does_not_exist(path: str) -> None:
    assert routes.find(ROOT, path) is None


@pytest.mark.parametrize(
    "path",
    [
        *("", "*", "http://h/api", "//api", "/api//customers", "/api/./customers", "/api/../x", "/api/customers/.."),
        *("/api/customers/%2e%2e", "/a%2fb", "/a%00", "/a\\b", "/a b", "/a\tb", "/é", "/a;b", "/a:b", "/a@b", "/a#b"),
    ],
)
def test_an_odd_path_is_refused_not_repaired(path: str) -> None:
    assert not routes.is_clean(path, "")


@pytest.mark.parametrize("query", ["a=1&a=2&b=", "q=%2e%2e%2f", "filter[tags][in]=a,b", "x=\"<>{}|^`'", "a=1?b=2"])
def test_a_query_of_visible_characters_passes(query: str) -> None:
    assert routes.is_clean("/api/customers", query)


@pytest.mark.parametrize("query", ["a=1#b", "a b", "a\\b", "a=\x00", "a=\r\n", "é"])
def test_a_query_with_others_is_refused(query: str) -> None:
    assert not routes.is_clean("/api/customers", query)


@given(st.text(alphabet=st.characters(max_codepoint=255), max_size=40))
def test_a_clean_path_has_nothing_that_could_be_decoded_or_walked(text: str) -> None:
    path = "/" + text
    if routes.is_clean(path, ""):
        assert not set(path) & set("%\\ #?;\x00")
        assert not {".", ".."} & set(path.split("/"))
        assert "//" not in path


def test_an_operation_that_stands_twice_stops_the_start() -> None:
    door = routes.Door("customer", ("/api",), "GET /customers\nGET /customers")
    with pytest.raises(ValueError, match="twice"):
        routes.build((door,))
