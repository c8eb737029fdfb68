"""Every page in light and dark, wide and narrow: silent under the strict policy, nothing sideways, everything legible."""

import http.client
import re

import pytest
from playwright.sync_api import Page

from tests.browser.conftest import NARROW, WIDE, Open, Visit

pytestmark = pytest.mark.server

LISTS = ("route", "strategylock", "tenant", "apikey", "surfacealias", "routechange", "outboxentry")
FORMS = ("route/add", "strategylock/add", "tenant/add", "apikey/add", "surfacealias/add")
OF_A_ROUTE = ("change", "switch", "lock", "history", "delete")
LOOKS = [("light", WIDE), ("dark", NARROW)]

UNNAMED = """() => [...document.querySelectorAll("input:not([type=hidden]), select, textarea, button, a[href]")]
  .filter((one) => one.checkVisibility())
  .filter((one) => !(one.labels?.length || one.ariaLabel || one.title || one.textContent.trim() || one.value
    || one.getAttribute("aria-labelledby")))
  .map((one) => one.outerHTML)"""
"""Fields, buttons and links that a screen reader could not name."""

FAINT = """() => {
  const channel = (part) => (part /= 255) <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  const parts = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const light = ([red, green, blue]) => 0.2126 * channel(red) + 0.7152 * channel(green) + 0.0722 * channel(blue);
  const behind = (one) => {
    for (; one; one = one.parentElement) {
      const colour = parts(getComputedStyle(one).backgroundColor);
      if (colour.length === 3 || colour[3] === 1) return colour;
    }
    return [255, 255, 255];
  };
  const says = (one) => [...one.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
  return [...document.querySelectorAll("body *")].filter((one) => one.checkVisibility() && says(one)).flatMap((one) => {
    const [low, high] = [light(parts(getComputedStyle(one).color)), light(behind(one))].sort((a, b) => a - b);
    const contrast = (high + 0.05) / (low + 0.05);
    return contrast < 4.5 ? [`${contrast.toFixed(2)}: ${one.outerHTML.slice(0, 120)}`] : [];
  });
}"""
"""Texts whose contrast is below WCAG's 4.5 to 1."""


def sideways(page: Page) -> bool:
    return bool(page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth"))


def first_route(one: Visit) -> str:
    address = one.go("routing/route/").locator("#result_list .field-kind a").first.get_attribute("href")
    return str(re.findall(r"\d+", address or "")[0])


@pytest.mark.parametrize(("scheme", "viewport"), LOOKS, ids=["light, wide", "dark, narrow"])
def test_every_page_is_silent_fits_and_can_be_read(visit: Open, scheme, viewport):
    one = visit("admin", color_scheme=scheme, viewport=viewport)
    route = first_route(one)
    paths = [
        "",
        *(f"routing/{name}/" for name in (*LISTS, *FORMS)),
        *(f"routing/route/{route}/{name}/" for name in OF_A_ROUTE),
    ]
    for path in paths:
        page = one.go(path)
        assert not sideways(page), path
        assert page.evaluate(UNNAMED) == [], path
        assert page.evaluate(FAINT) == [], path


@pytest.mark.parametrize("viewport", [WIDE, NARROW], ids=["wide", "narrow"])
def test_the_list_of_routes_never_scrolls_sideways(visit: Open, viewport):
    page = visit("viewer", viewport=viewport).go("routing/route/")
    assert page.locator(".results").evaluate("(list) => list.scrollWidth - list.clientWidth") <= 0


def test_what_breaks_the_policy_is_heard(visit: Open):
    one = visit("viewer")
    one.go("").evaluate("document.body.append(Object.assign(document.createElement('script'), {textContent: '1'}))")
    assert "Content Security Policy" in one.complaints.pop()


def test_the_policy_allows_nothing_from_elsewhere_and_nothing_inline(back_office):
    connection = http.client.HTTPConnection("127.0.0.1", back_office.port, timeout=30)
    connection.request("GET", "/admin/login/")
    policy = connection.getresponse().getheader("Content-Security-Policy") or ""
    connection.close()
    assert "default-src 'none'" in policy
    assert not re.search(r"unsafe|https?:|\*", policy)
