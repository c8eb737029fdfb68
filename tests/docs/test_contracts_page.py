"""The page of contracts tells the truth: its examples are sent to the application, in their order, and answered as it says."""

import asyncio
import json
import re

import pytest
from django.db import connections
from django.test import Client

from northstar.modes import LAB
from routing.changes import create_tenant
from routing.keys import SCOPES
from routing.models import Route, RouteChange
from routing.operations.mirror import mirror_changes
from routing.operations.relay import relay_outbox
from storage.api import sse
from tests.api.asgi_client import follow
from tests.conftest import CAUSE, TENANT_SCOPES, Api, filesystem_routes, token
from tests.docs.examples import Example, differences, examples_of, same_text, unlike
from tests.docs.test_documents import ROOT

PAGE = (ROOT / "docs/contracts.md").read_text(encoding="utf-8")
SECTIONS = (
    "Asking",
    "Scopes",
    "Surfaces",
    "Writing safely",
    "Lists",
    "Routes",
    "Switching, rolling back",
    "Strategy locks",
    "The trail and its events",
    "Streams",
    "Tables",
    "Memory",
    "Everything of a user",
    "Metrics",
    "Objects",
    "Media",
    "Attribution contracts",
    "Records",
    "Budgets",
    "Rules",
    "The earlier engines' URLs",
    "Files in a lab",
    "Errors",
)


@pytest.fixture
def keys(own_database, system) -> dict[str, str]:
    """Acme and globex on the filesystem, initech that pays, and t_system with its streams and its registry."""
    acme, globex = (create_tenant(name, name.title(), LAB, CAUSE) for name in ("acme", "globex"))
    create_tenant("initech", "Initech", "saas", CAUSE)
    for tenant in (acme, globex, system):
        filesystem_routes(tenant)
    return {"$NS_KEY": token(acme, TENANT_SCOPES), "$OPERATOR_KEY": token(system, SCOPES)}


def send(example: Example, keys: dict[str, str]) -> list[str]:
    """Send an example's request, as acme unless it names a key, and return how the answer differs."""
    method, path = example.request.start
    path = path.replace("{route_id}", f"{Route.objects.latest('pk').pk}")
    headers = dict(example.request.headers)
    key = keys[headers.pop("Authorization", "Bearer $NS_KEY").removeprefix("Bearer ")]
    if headers.get("Accept") == "text/event-stream":
        return asyncio.run(followed(example, key, path, headers.get("Last-Event-ID")))
    body = example.request.body.encode() or None
    content_type = headers.pop("Content-Type", "application/json")
    answer = Api(key).request(method, path, body, content_type=content_type, headers=headers)
    told = {name.lower(): value for name, value in answer.items()}
    content = b"".join(answer.streaming_content) if answer.streaming else answer.content
    return unlike(example, answer.status_code, told, content.decode())


async def followed(example: Example, key: str, path: str, last_event_id: str | None) -> list[str]:
    """Follow a stream for as many blocks as the example shows."""
    found = []
    async with follow(key, path=path, last_event_id=last_event_id) as stream:
        if stream.status != example.status:
            return [f"status {stream.status}"]
        for block in example.answer.body.split("\n\n"):
            frame = await stream.frame()
            if frame is None or not same_text(block, frame.text):
                found.append(f"{frame.text if frame else 'the end'}, not {block}")
    return found


@pytest.fixture(autouse=True)
def streams(settings):
    settings.NORTHSTAR_SSE_POLL_SECONDS = 0.05
    yield
    sse._hub = None


def relay() -> None:
    """What the server's background does between two requests."""
    while relay_outbox().delivered or mirror_changes().mirrored:
        pass
    connections.close_all()


def leave_an_upload(key: str) -> None:
    """Send a presigned upload that nobody registers: no example can, as its URL is never the same."""
    asked = Api(key).post("storage/objects/presign", {"key": "report", "method": "PUT"}).json()
    assert Client().put(asked["url"], b"%PDF-", headers=asked["headers"]).status_code == 200


def test_every_example_is_answered_as_the_page_says_and_the_files_lie_where_it_says(keys, lab):
    wrong = {}
    for example in examples_of(PAGE):
        relay()
        if found := send(example, keys):
            wrong[f"line {example.line}: {' '.join(example.request.start)}"] = found
    assert not wrong, json.dumps(wrong, indent=2, ensure_ascii=False)
    leave_an_upload(keys["$NS_KEY"])
    for line in re.findall(r"^\{base_dir\}/(\S+)$", PAGE, re.MULTILINE):
        assert list(lab.glob(re.sub(r"\{[a-z_]+\}", "*", line))), f"nothing lies at {line}"


@pytest.mark.parametrize("section", SECTIONS)
def test_each_part_is_there(section):
    assert re.search(rf"^###? {re.escape(section)}$", PAGE, re.MULTILINE)


def test_what_cuts_across_calls_is_shown_by_example():
    shown = {example.line: example for example in examples_of(PAGE)}
    assert len(shown) >= 20
    assert {201, 200, 400, 403, 404, 409, 410, 412, 422, 423, 429, 500} <= {
        example.status for example in shown.values()
    }


def test_every_event_type_of_a_route_is_listed_and_its_data_are_told_whole(keys):
    relay()
    types = set(RouteChange.objects.filter(action__startswith="ROUTE_").values_list("action", flat=True))
    listed = re.findall(r"^\| `(ROUTE_[A-Z_]+)` \|", PAGE, re.MULTILINE)
    assert types <= set(listed)
    (shown,) = [block for block in re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL) if '"change_id"' in block]
    stored = Api(keys["$OPERATOR_KEY"]).get("storage/streams/routing/events?limit=1").json()["items"][0]
    assert set(json.loads(shown)) == set(stored["data"])


def test_an_elision_hides_no_more_than_it_says():
    assert differences({"a": "x…", "…": "…"}, {"a": "xyz", "b": 1}) == []
    assert differences({"a": "x…"}, {"a": "xyz", "b": 1}) == [".b is not shown"]
    assert differences({"a": [1, 2]}, {"a": [1, 3]}) == [".a[1]: 3, not 2"]
    assert differences({"a": True}, {"a": 1}) == [".a: 1, not True"]
    assert not same_text("a…c", "ab")
