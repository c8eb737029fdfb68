"""The gallery in a real browser: pictures come from here, the strict policy is kept, and a deletion asks first."""

import json
import re

import pytest

from tests.browser.conftest import WIDE, Open
from tests.browser.test_pages import FAINT, LOOKS, UNNAMED, sideways
from tests.media.pictures import png
from tests.server import Running

pytestmark = pytest.mark.server
PLACE = "?tenant=acme&env=dev"
DRAWN = "async (image) => { await image.decode(); return image.naturalWidth }"


@pytest.fixture
def media(back_office: Running) -> str:
    """A picture of acme's; returns its id."""
    for data in (b"no picture", png()):
        _, _, answer = back_office.request("POST", "/api/v1/media?session_id=s_1", data, headers={"X-User-Id": "ada"})
    return str(json.loads(answer)["media_id"])


@pytest.mark.parametrize(("scheme", "viewport"), LOOKS, ids=["light, wide", "dark, narrow"])
def test_every_page_of_the_gallery_fits_and_can_be_read(visit: Open, media, scheme, viewport):
    one = visit("operator", color_scheme=scheme, viewport=viewport)
    for view in ("", f"output/{PLACE}&media_id={media}", f"delete/{PLACE}&media_id={media}"):
        page = one.go(f"stores/media/{view or PLACE}")
        assert not sideways(page), view
        assert page.evaluate(UNNAMED) == [], view
        assert page.evaluate(FAINT) == [], view


def test_a_picture_is_found_by_its_session_looked_at_and_deleted(visit: Open, media):
    page = visit("operator", viewport=WIDE).go(f"stores/media/{PLACE}")
    page.get_by_label("Session:").fill("s_1")
    page.get_by_role("button", name="Show media").click()
    assert page.locator(".northstar-gallery img").first.evaluate(DRAWN) == 64
    page.get_by_role("link", name=f"Media output {media}").click()
    page.get_by_role("link", name="Delete…").click()
    page.get_by_label("Reason:").fill("seen enough")
    page.get_by_role("button", name="Delete it").click()
    page.wait_for_url(re.compile(r"/stores/media/\?"))
    assert page.get_by_text("was deleted").is_visible()
    assert page.locator(f"[aria-label='Media output {media}']").count() == 0
