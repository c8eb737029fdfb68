"""Pages over stores in a real browser: silent under the strict policy, fitting and legible; and an operator sets a budget."""

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Open
from tests.browser.test_pages import FAINT, LOOKS, UNNAMED, sideways
from tests.server import Running

pytestmark = pytest.mark.server

PLACE = "?tenant=acme&env=dev"
PATHS = (
    "",
    "stores/",
    "stores/tables/?tenant=",
    f"stores/tables/{PLACE}&table=customers",
    f"stores/tables/record/{PLACE}&table=customers&key=c/1",
    "stores/tables/?tenant=acme&env=nowhere",
    f"stores/streams/{PLACE}&stream=orders",
    f"stores/streams/event/{PLACE}&stream=orders&position=1",
    f"stores/metrics/{PLACE}&metric=load&span=24h",
    f"stores/contracts/{PLACE}",
    f"stores/contracts/contract/{PLACE}&platform=google_ads",
    f"stores/budgets/{PLACE}",
    f"stores/budgets/set/{PLACE}",
    f"stores/summary/{PLACE}",
    f"stores/records/{PLACE}",
    f"stores/records/run/{PLACE}&run=run-1",
)


@pytest.fixture(scope="module")
def filled(back_office: Running) -> Running:
    """The server, with something to see at each page."""
    long = "a-very-long-word-" * 12
    for method, path, body in (
        ("PUT", "storage/tables/customers/records/c/1", {"data": {"name": long, "seats": 3}}),
        ("POST", "storage/streams/orders/events", {"type": "order.placed", "data": {"note": long}}),
        ("POST", "storage/metrics/load", [{"value": n, "tags": {"region": long[:200]}} for n in range(3)]),
        (
            "PUT",
            "analytics/contracts/google_ads",
            {"utm_template": {"source": "google", "medium": "cpc", "campaign": long[:150]}, "allowed_fields": ["term"]},
        ),
        ("PUT", "analytics/budgets/openai/tokens", {"hard_limit": "100", "soft_limit": "80"}),
        ("POST", "analytics/budgets/openai/tokens/usage", {"amount": "85"}),
        ("POST", "analytics/records", {"records": [{"app": long, "run_id": "run-1", "utm_campaign": long}, {"x": 1}]}),
    ):
        status, _, answer = back_office.request(method, f"/api/v1/{path}", body)
        assert status < 300, (path, answer)
    return back_office


@pytest.mark.parametrize(("scheme", "viewport"), LOOKS, ids=["light, wide", "dark, narrow"])
def test_every_page_over_a_store_is_silent_fits_and_can_be_read(filled, visit: Open, scheme, viewport):
    one = visit("admin", color_scheme=scheme, viewport=viewport)
    for path in PATHS:
        page = one.go(path)
        assert not sideways(page), path
        assert page.evaluate(UNNAMED) == [], path
        assert page.evaluate(FAINT) == [], path


def test_an_operator_comes_to_a_place_sets_a_budget_and_tries_a_url(filled, visit: Open):
    page = visit("operator").go("stores/budgets/")
    page.get_by_role("link", name="acme").click()
    page.get_by_role("link", name="Set a budget…").click()
    page.get_by_label("Provider").fill("serper")
    page.get_by_label("Metric").fill("requests")
    page.get_by_label("Hard limit").fill("ten")
    page.get_by_role("button", name="Save").click()
    expect(page.locator(".errorlist").first).to_contain_text("no decimal number")
    page.get_by_label("Hard limit").fill("2500")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("region", name="serper requests tenant")).to_contain_text("of 2,500 used")

    page.get_by_role("link", name="Attribution contracts").click()  # the place is kept
    page.get_by_role("link", name="google_ads").click()
    page.get_by_label("URL:").fill("https://shop.example/?utm_source=google&utm_medium=CPC")
    page.get_by_role("button", name="Judge it").click()
    expect(page.get_by_role("status").first).to_contain_text("Not valid.")
    expect(page.locator("mark").first).to_have_text("CPC")
