"""`/ops` in a real browser: within its own policy, at the width of a phone too."""

from playwright.sync_api import expect

from tests.api import new_person
from tests.browser.conftest import Watched
from tests.topologies import Running


def test_it_shows_what_happened_and_fits_a_phone(solo: Running, watched: Watched) -> None:
    person = new_person(solo.url)
    person.get("/api/customers").ok()
    watched.page.set_viewport_size({"width": 360, "height": 740})
    watched.page.goto(solo.url + "/ops")
    expect(watched.page.get_by_text("services are healthy.")).to_be_visible()
    expect(watched.page.get_by_text("GET /api/customers")).to_be_visible()
    expect(watched.page.get_by_role("img", name="Requests to customer by minute").locator("rect")).not_to_have_count(0)
    widths = watched.page.evaluate("[document.documentElement.scrollWidth, window.innerWidth]")
    assert widths[0] <= widths[1]
    assert watched.page.evaluate("getComputedStyle(document.body).maxWidth") != "none", "the style was refused"
