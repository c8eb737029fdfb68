"""A hundred ways to smuggle markup, in every text that somebody else can write: each page shows them as text."""

import re
from datetime import UTC, datetime
from html import escape

import pytest
from django.test import Client

from northstar.errors import Forbidden
from routing.changes import Cause, RouteUpdate, create_route, create_tenant, lock_route, set_alias, update_route
from routing.denials import Attempt, record_denial
from routing.health_models import RouteHealth, ServerProcess
from routing.keys import issue_key
from routing.models import OutboxEntry, Route, RouteChange, StrategyLock, Tenant
from tests.admin.conftest import Tags
from tests.routing.conftest import draft

TAGS = (
    *("script", "img src=x", "svg", "iframe", "body"),
    *("input autofocus", "details open", "video src=x", "a href=javascript:", "math"),
)
EVENTS = ("onerror", "onload", "onfocus", "ontoggle", "onclick")
OPENERS = ("", "'\">")
PAYLOADS = [f"{opener}<{tag} {event}=alert(1)>" for tag in TAGS for event in EVENTS for opener in OPENERS]
ALLOWED_SOURCES = re.compile(r"(/static/|/admin/jsi18n/|data:image/svg)")
ALLOWED_LINKS = re.compile(r"(/|\?|#|\.|$)")
NEVER = {"iframe", "object", "embed", "base", "math", "video", "style"}


@pytest.fixture
def rows(system) -> None:
    """A thing with each payload in each of its texts."""
    for number, payload in enumerate(PAYLOADS):
        cause = Cause(f"user:{payload}", request_id="r", rationale=payload)
        tenant = create_tenant(f"t{number}", payload, "lab", cause)
        issue_key(tenant, payload, ["data:read"], cause=cause)
        set_alias(payload, f"surface{number}", cause)
        route = create_route(draft(tenant.pk, tier=payload, cost_notes=payload, config={"place": payload}), cause)
        update_route(route.pk, RouteUpdate(config={"place": f"{payload}2"}), cause)
        lock_route(route.pk, reason=payload, until=None, cause=cause)
        now = datetime.now(UTC)
        texts = dict.fromkeys(
            ("error_code", "error", "fix", "failed_operation", "failed_code", "failed_error"), payload[:32]
        )
        times = dict.fromkeys(("probed_at", "failed_at", "next_probe_at"), now)
        RouteHealth.objects.create(route=route, ok=False, steps=[[payload, 1.0]], **times, **texts)
        common = {"role": payload[:16], "started_at": now, "revision": 1, "revision_since": now, "seen_at": now}
        ServerProcess.objects.create(name=payload, **common)
    record_denial(Attempt(actor=PAYLOADS[0], what=PAYLOADS[1], subject=PAYLOADS[2]), Forbidden(PAYLOADS[3]))
    OutboxEntry.objects.update(attempts=1, last_error=" ".join(PAYLOADS))


def pages() -> list[str]:
    lists = ("route", "strategylock", "tenant", "apikey", "surfacealias", "routechange", "outboxentry")
    found = ["", "jump/?q=t1", *(f"routing/{name}/?p={number}" for name in lists for number in (1, 2))]
    for route in Route.objects.filter(tenant__in=["t0", "t1"]):
        found += [
            f"routing/route/{route.pk}/{name}/"
            for name in ("change", "switch", "history", "rollback/1", "lock", "delete")
        ]
    found += [f"routing/routechange/{row.pk}/change/" for row in RouteChange.objects.all()[:12]]
    lock, entry = StrategyLock.objects.first(), OutboxEntry.objects.last()
    assert lock
    assert entry
    found += [f"routing/strategylock/{lock.pk}/{name}/" for name in ("change", "release")]
    return [*found, f"routing/outboxentry/{entry.pk}/change/", "routing/tenant/t0/change/"]


def strange(html: str) -> list[tuple[str, dict[str, str | None]]]:
    """Tags that none of our templates writes."""
    return [(tag, attrs) for tag, attrs in Tags(html).found if tag in NEVER or _acts(tag, attrs)]


def _acts(tag: str, attrs: dict[str, str | None]) -> bool:
    source, link = attrs.get("src"), attrs.get("href") or attrs.get("action") or ""
    inline = tag == "script" and source is None and attrs.get("type") != "application/json"
    foreign = source is not None and not ALLOWED_SOURCES.match(source)
    return inline or foreign or not ALLOWED_LINKS.match(link) or any(name.startswith("on") for name in attrs)


def test_a_hundred_payloads_are_text_on_every_page(boss: Client, rows):
    assert len(PAYLOADS) == 100
    assert Tenant.objects.count() > len(PAYLOADS)
    seen = ""
    for path in pages():
        answer = boss.get(f"/admin/{path}", follow=True)
        assert answer.status_code == 200, path
        if answer["Content-Type"].startswith("application/json"):
            assert answer["X-Content-Type-Options"] == "nosniff"
            continue
        html = answer.content.decode()
        assert strange(html) == [], path
        seen += html
    assert all(escape(payload) in seen for payload in PAYLOADS[:20])  # they were there to be seen
