"""The operator's day in a real browser: create, correct, switch, look back, lock, and be refused by the lock."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Open

pytestmark = pytest.mark.server


def choose_new_route(page: Page) -> None:
    page.get_by_label("Resource kind").select_option("tabular_store")
    page.get_by_label("Tenant:", exact=True).fill("acme")
    page.get_by_label("Env:", exact=True).fill("prod")


def errors_of(page: Page, field: str) -> str:
    return page.locator(f".form-row.field-{field} .errorlist").inner_text()


def fill_switch(page: Page, folder: str) -> None:
    page.locator("#id_config-filesystem-documents-base_dir").fill(folder)
    page.get_by_label("Rationale").fill("The old disk is full, see INC-4711.")
    page.get_by_role("button", name="Dry run").click()


def test_an_operator_creates_corrects_switches_locks_and_is_refused(visit: Open):
    page = visit("operator").go("routing/route/add/")

    # A config error stands at its field, and hides no other.
    choose_new_route(page)
    page.get_by_label("Backend:", exact=True).select_option("dynamodb")
    expect(page.locator("#id_config-filesystem-documents-base_dir")).to_be_hidden()
    page.locator("#id_config-dynamodb-documents-endpoint").fill("http://192.0.2.1")
    page.get_by_role("button", name="Save", exact=True).click()
    assert "Field required" in errors_of(page, "config-dynamodb-documents-region")
    assert "NORTHSTAR_ALLOWED_ENDPOINTS" in errors_of(page, "config-dynamodb-documents-endpoint")

    # Corrected, it is created.
    page.get_by_label("Backend:", exact=True).select_option("filesystem")
    expect(page.locator("#id_config-dynamodb-documents-region")).to_be_hidden()
    page.get_by_role("button", name="Save", exact=True).click()
    page.get_by_role("link", name="tabular_store in acme/prod on filesystem").click()

    # The switch shows what it would do before it does it.
    page.get_by_role("link", name="Switch…").click()
    fill_switch(page, "second-disk")
    expect(page.get_by_role("heading", name="Dry run: nothing has been changed")).to_be_visible()
    expect(page.get_by_role("row", name="config.base_dir")).to_contain_text("second-disk")
    expect(page.locator(".northstar-state.good", has_text="works")).to_be_visible()
    page.get_by_role("button", name="Switch now").click()

    # The history says who, why, and what.
    expect(page.get_by_role("heading", level=1)).to_have_text("History")
    newest = page.locator(".northstar-history > li").first
    expect(newest).to_contain_text("ROUTE_BACKEND_SWITCHED")
    expect(newest).to_contain_text("user:operator")
    expect(newest).to_contain_text("The old disk is full, see INC-4711.")
    expect(newest.get_by_role("row", name="config.base_dir")).to_contain_text("second-disk")

    # Locked, it refuses the next switch, and says whom to ask.
    page.get_by_role("link", name="Lock…").click()
    page.get_by_label("Reason").fill("Quarter close: ask #data-platform.")
    page.get_by_role("button", name="Lock", exact=True).click()
    expect(page.locator(".northstar-notice.warn")).to_contain_text("Quarter close: ask #data-platform.")
    page.get_by_role("link", name="Switch…").click()
    fill_switch(page, "third-disk")
    refusal = page.locator(".northstar-notice.bad")
    expect(refusal).to_contain_text("STRATEGY_LOCKED")
    expect(refusal).to_contain_text("Quarter close: ask #data-platform.")
    expect(page.get_by_role("button", name=re.compile("^Switch now"))).to_have_count(0)


def test_the_keyboard_leads_to_a_route(visit: Open):
    page = visit("viewer").go("")
    page.keyboard.press("Control+k")
    page.keyboard.type("globex tabular")
    expect(page.get_by_role("option", name="tabular_store in globex/dev on filesystem")).to_be_visible()
    expect(page.get_by_role("option")).to_have_count(1)
    page.keyboard.press("Enter")
    expect(page.locator("#content h2").first).to_have_text("tabular_store in globex/dev on filesystem")
    page.keyboard.press("/")
    expect(page.get_by_role("combobox")).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_be_hidden()


def test_a_viewer_is_offered_nothing_that_changes_anything(visit: Open):
    page = visit("viewer").go("routing/route/")
    page.locator("#result_list .field-kind a").first.click()
    expect(page.get_by_role("link", name="History")).to_be_visible()
    for name in ("Switch…", "Lock…"):
        expect(page.get_by_role("link", name=name)).to_have_count(0)
    for name in ("Probe now", "Save"):
        expect(page.get_by_role("button", name=name)).to_have_count(0)
