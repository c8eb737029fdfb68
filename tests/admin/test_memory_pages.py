"""Sessions and blackboards in the back office: read-only, paged from the store, each user's own."""

import re
from datetime import UTC, datetime, timedelta
from html import unescape

import pytest

from northstar.context import RequestContext
from routing.changes import create_route
from storage.kinds.sessions import NewMessage
from storage.opening import open_store
from tests.routing.conftest import CAUSE, draft

ACME = "?tenant=acme&env=dev"


def text(answer) -> str:
    return unescape(answer.content.decode())


def link(answer, words: str) -> str:
    found = re.search(rf'<a href="([^"]+)"[^>]*>{words}</a>', answer.content.decode())
    assert found, words
    return unescape(found[1])


def memory(tenant="acme", **scope):
    return open_store("memory_store", RequestContext(tenant, "dev", "lab", **scope))


@pytest.fixture
def remembered(acme, globex) -> None:
    for tenant in ("acme", "globex"):
        create_route(draft(tenant, "memory_store", backend_type="filesystem", config={}), CAUSE)
    ada = memory(user_id="ada")
    for first in range(0, 120, 24):
        ada.sessions.append("trips", [NewMessage("user", f"message <{number}>") for number in range(first, first + 24)])
    ada.sessions.save("trips", {"topic": "travel"}, ttl_hint=86_400)
    ada.blackboards().put("plan", {"step": 1}, expires_at=datetime.now(UTC) + timedelta(hours=1))
    memory(user_id="ada", project_id="atlas").sessions.append("maps", [NewMessage("user", "hello")])
    memory().blackboards().put("shared", {"of": "all"})
    memory("globex", user_id="ada").sessions.append("theirs", [NewMessage("user", "secret")])


def test_sessions_are_found_by_user_and_read_window_by_window(boss, remembered):
    people = boss.get(link(boss.get(f"/admin/stores/sessions/{ACME}"), "Users with memory in this environment"))
    assert "<strong>ada</strong>" in text(people)
    sessions = boss.get(link(people, "no project"))
    assert "theirs" not in text(sessions)
    assert "maps" not in text(sessions)
    page = boss.get(link(sessions, "trips"))
    shown = [int(number) for number in re.findall(r"message <(\d+)>", text(page))]
    assert "<message" not in page.content.decode()
    assert '"message <' not in text(page)  # what was said, not its JSON
    while "Older messages" in text(page):
        page = boss.get(link(page, "Older messages"))
        shown = [int(number) for number in re.findall(r"message <(\d+)>", text(page))] + shown
    assert shown == list(range(120))
    assert '"topic": "travel"' in text(page)
    assert "message <119>" in text(boss.get(link(page, "Newest messages")))
    assert ">maps</a>" in text(boss.get(link(people, "project atlas")))


def test_blackboards_are_a_users_or_the_projects(boss, remembered):
    of_ada = boss.get(f"/admin/stores/blackboards/{ACME}&user=ada")
    assert "shared" not in text(of_ada)
    assert '"step": 1' in text(boss.get(link(of_ada, "plan")))
    of_all = boss.get("/admin/stores/blackboards/?tenant=acme&env=dev&user=")
    assert ">plan</a>" not in text(of_all)
    assert '"of": "all"' in text(boss.get(link(of_all, "shared")))


def test_what_is_not_there_says_so(boss, remembered):
    for page in ("sessions/session/", "blackboards/blackboard/"):
        missing = boss.get(f"/admin/stores/{page}{ACME}&user=bob&session=trips&key=plan")
        assert (missing.status_code, "NOT_FOUND" in text(missing)) == (404, True)
    assert "no position" in text(boss.get(f"/admin/stores/sessions/session/{ACME}&user=ada&session=trips&before=x"))
    assert "There is no session here" in text(boss.get(f"/admin/stores/sessions/{ACME}&user=bob"))
