"""`/docs` in a real browser: somebody logs in, takes the token, and asks who they are, with nothing but this page."""

import json
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.api import PASSWORD, new_person
from tests.browser.conftest import Watched
from tests.topologies import Running

SERVICES = ("auth", "customer", "interaction", "product", "tenant")


def operation(page: Page, chapter: str, method: str, path: str) -> Locator:
    """The open block of an operation, found where a reader finds it: in its chapter."""
    heading = page.locator(".opblock-tag").filter(has=page.get_by_text(chapter, exact=True))
    if heading.get_attribute("data-is-open") != "true":
        heading.click()
    block = page.locator(f".opblock-{method}").filter(has=page.locator(f'[data-path="{path}"]'))
    block.locator(".opblock-summary-control").click()
    return block


def execute(block: Locator) -> Any:
    """Send what stands in an operation's form; the JSON of the answer that is shown."""
    block.get_by_role("button", name="Execute").click()
    answer = block.locator(".live-responses-table .response-col_description .microlight").first
    expect(answer).to_be_visible()
    return json.loads(answer.inner_text())


def authorise(page: Page, token: str) -> None:
    """Use a token for all further requests of the page."""
    page.get_by_role("button", name="Authorize").first.click()
    dialog = page.locator(".auth-container").filter(has_text="bearer")
    dialog.get_by_role("textbox").fill(token)
    dialog.get_by_role("button", name="Apply credentials").click()
    page.locator(".dialog-ux .btn-done").first.click()


def test_one_logs_in_and_asks_who_one_is_on_the_page_alone(solo: Running, watched: Watched) -> None:
    person = new_person(solo.url)
    page = watched.page
    page.goto(solo.url + "/docs")
    login = operation(page, "Logging in", "post", "/auth/login")
    login.get_by_role("textbox").fill(json.dumps({"email": person.email, "password": PASSWORD}))
    token = execute(login)["access_token"]
    authorise(page, token)
    me = execute(operation(page, "Logging in", "get", "/auth/me"))
    assert me["user"]["email"] == person.email
    made = execute(operation(page, "Customers", "post", "/api/customers"))["customer"]
    assert execute(operation(page, "Customers", "get", "/api/customers"))["customers"] == [made]


@pytest.mark.parametrize("name", SERVICES)
def test_the_page_of_a_service_shows_its_operations(split: Running, watched: Watched, name: str) -> None:
    watched.page.goto(f"http://127.0.0.1:{split.ports[name]}/docs")
    watched.page.locator(".opblock-tag").first.click()
    expect(watched.page.locator(".opblock").first).to_be_visible()
