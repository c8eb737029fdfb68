"""Sessions and blackboards over REST, on every document backend: the same calls, the same answers, and nobody else's."""

import hashlib
import json
from datetime import UTC, datetime, timedelta

import pytest
import time_machine

from northstar.context import RequestContext
from routing.changes import RouteDraft, create_route
from routing.resolve import resolve
from storage.opening import build_adapter
from tests.api.test_every_backend import CONFIGS
from tests.conftest import CAUSE, Api, filesystem_routes, token

SESSION = "storage/sessions/s_1"
MESSAGES = f"{SESSION}/messages"
BOARD = "storage/blackboards/plan"
ADA = {"X-User-Id": "ada"}


@pytest.fixture(params=CONFIGS)
def backend(request) -> str:
    name: str = request.param
    return name


@pytest.fixture
def client(backend, request, acme, globex) -> Api:
    """Acme on behalf of ada; acme's and globex's routes lead to one place of this backend."""
    config = CONFIGS[backend](request)
    for tenant in ("acme", "globex"):
        draft = RouteDraft(
            resource_kind="memory_store", tenant_id=tenant, env="dev", backend_type=backend, config=config
        )
        create_route(draft, CAUSE)
    adapter = build_adapter(resolve("memory_store", RequestContext("acme", "dev", "lab")), "lab")
    adapter.driver.prepare()
    return Api(token(acme), **ADA)


def said(text, **more):
    return {"role": "user", "content": text, **more}


def test_a_session_is_talked_to_read_described_listed_and_ended(client, backend):
    one = client.post(MESSAGES, said("hello"))
    many = client.post(MESSAGES, {"messages": [said("and"), said({"parts": [1]}, metadata={"tokens": 2})]})
    assert (one.status_code, many.status_code, one["X-Northstar-Backend"]) == (201, 201, backend)
    assert [one.json()["position"], *(each["position"] for each in many.json()["messages"])] == [1, 2, 3]
    put = client.put(SESSION, {"metadata": {"topic": "trips"}, "ttl_hint": 3600}, headers={"If-Match": many["ETag"]})
    session = client.get(f"{SESSION}?limit=2")
    assert (put.status_code, session.status_code, session["ETag"]) == (200, 200, put["ETag"])
    body = session.json()
    expected = {
        "id": "acme#lab##ada#s_1",
        "tenant_id": "acme",
        "mode": "lab",
        "project_id": None,
        "user_id": "ada",
        "session_id": "s_1",
        "metadata": {"topic": "trips"},
        "ttl_hint": 3600,
        "message_count": 3,
        "next_before": 2,
    }
    assert {name: body[name] for name in expected} == expected
    assert [message["content"] for message in body["messages"]] == ["and", {"parts": [1]}]
    assert body["messages"][1] == many.json()["messages"][1]
    assert body["created_at"] <= body["updated_at"] < body["expires_at"]
    assert [item["session_id"] for item in client.get("storage/sessions").json()["items"]] == ["s_1"]
    assert client.delete(SESSION, headers={"If-Match": one["ETag"]}).status_code == 412
    assert [client.delete(SESSION).status_code for _ in range(2)] == [204, 204]
    assert client.get(SESSION).status_code == 404
    assert client.get("storage/sessions").json() == {"items": [], "next_cursor": None}


def test_a_blackboard_is_written_read_conditioned_counted_and_removed(client, backend):
    ends = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    put = client.put(BOARD, {"data": {"step": 1}, "expires_at": ends}, headers={"If-None-Match": "*"})
    got = client.get(BOARD)
    assert (put.status_code, got.status_code, got["X-Northstar-Backend"]) == (201, 200, backend)
    assert put.json() == got.json()
    expected = {
        "id": "acme#lab##ada#plan",
        "tenant_id": "acme",
        "mode": "lab",
        "project_id": None,
        "user_id": "ada",
        "key": "plan",
        "scope": "user",
        "data": {"step": 1},
    }
    assert {name: got.json()[name] for name in expected} == expected
    for condition in ({"If-None-Match": "*"}, {"If-Match": '"99999"'}):
        assert client.put(BOARD, {"data": {}}, headers=condition).status_code == 412
    body = {"deltas": {"step": 4}, "ceilings": {"step": 5}}
    counted = [client.post(f"{BOARD}/increment", body, headers={"Idempotency-Key": key}) for key in ("a", "a", "b")]
    assert [answer.status_code for answer in counted] == [200, 200, 429]
    assert client.get(BOARD, headers={"X-Project-Id": "atlas"}).status_code == 404
    with time_machine.travel(datetime.fromisoformat(ends), tick=False):
        assert client.get(BOARD).status_code == 404
        assert client.get("storage/blackboards").json()["items"] == []
    assert [client.delete(BOARD).status_code for _ in range(2)] == [204, 204]


def test_another_user_project_or_tenant_sees_nothing_of_it(client, globex):
    client.post(MESSAGES, said("secret"))
    client.put(BOARD, {"data": {"secret": 1}})
    strangers = [
        Api(token(globex), **ADA),
        Api(client._headers["Authorization"].removeprefix("Bearer ")),
        Api(client._headers["Authorization"].removeprefix("Bearer "), **ADA, **{"X-Project-Id": "atlas"}),
    ]
    for stranger in strangers:
        assert stranger.get(SESSION).status_code == stranger.get(BOARD).status_code == 404
        for listing in ("storage/sessions", "storage/blackboards"):
            assert stranger.get(listing).json()["items"] == []
        assert stranger.delete(SESSION).status_code == 204
    assert client.get(SESSION).json()["message_count"] == 1


def test_everything_of_a_user_is_exported_and_erased_over_all_projects(client):
    atlas = {"X-Project-Id": "atlas"}
    client.post(MESSAGES, {"messages": [said("one"), said(2**70)]})
    client.post(MESSAGES, said("three"), headers=atlas)
    client.put(BOARD, {"data": {"n": 1}}, headers=atlas)
    client.post(MESSAGES, said("bob's"), headers={"X-User-Id": "bob"})
    client.put(f"{BOARD}?scope=project", {"data": {"n": 2}})
    export = client.get("storage/users/ada/memory")
    lines = b"".join(export.streaming_content).splitlines(keepends=True)
    records = [checked(line) for line in lines]
    assert (export["Content-Type"], [record["record"] for record in records]) == (
        "application/x-ndjson",
        ["export", "session", "message", "message", "session", "message", "blackboard", "end"],
    )
    assert records[3]["content"] == {"$int": str(2**70)}
    assert records[-1] == {
        "record": "end", "sessions": 2, "messages": 3, "blackboards": 1,
        "lines_sha256": hashlib.sha256(b"".join(lines[:-1])).hexdigest(),
    }  # fmt: skip
    erased = client.delete("storage/users/ada/memory")
    assert (erased.status_code, erased.json()["complete"]) == (200, True)
    assert erased.json()["totals"] == {"sessions": 2, "messages": 3, "blackboards": 1}
    assert erased.json()["routes"][0]["rooms"] == [
        {"mode": "lab", "project_id": None, "sessions": [{"session_id": "s_1", "messages": 2}], "blackboards": []},
        {
            "mode": "lab",
            "project_id": "atlas",
            "sessions": [{"session_id": "s_1", "messages": 1}],
            "blackboards": ["plan"],
        },
    ]
    assert len(list(client.get("storage/users/ada/memory").streaming_content)) == 2
    assert client.get(SESSION, headers={"X-User-Id": "bob"}).json()["messages"][0]["content"] == "bob's"
    assert client.get(f"{BOARD}?scope=project").json()["data"] == {"n": 2}


def checked(line):
    """The record of an export's line, whose hash is right."""
    body, _, tail = line.rpartition(b',"sha256":"')
    assert hashlib.sha256(body + b"}").hexdigest() == tail.removesuffix(b'"}\n').decode()
    record = json.loads(line)
    del record["sha256"]
    return record


# what no backend has to do with -------------------------------------------------------------------------------------------


@pytest.fixture
def ada(acme) -> Api:
    filesystem_routes(acme)
    return Api(token(acme), **ADA)


def test_an_append_under_an_idempotency_key_is_made_once(ada):
    answers = [ada.post(MESSAGES, said("once"), headers={"Idempotency-Key": "k"}) for _ in range(2)]
    assert answers[0].json() == answers[1].json()
    assert answers[1]["Idempotent-Replayed"] == "true"
    named = [ada.post(MESSAGES, said("named", message_id="m-1")) for _ in range(2)]
    assert named[0].json() == named[1].json()
    assert ada.post(MESSAGES, said("other", message_id="m-1")).json()["error_code"] == "CONFLICT"
    assert ada.get(SESSION).json()["message_count"] == 2


def test_windows_and_lists_are_paged(ada):
    for first in range(1, 31, 15):
        ada.post(MESSAGES, {"messages": [said(number) for number in range(first, first + 15)]})
    read: list[int] = []
    before = ""
    while before is not None:
        page = ada.get(f"{SESSION}?limit=7{before and f'&before={before}'}").json()
        read = [message["content"] for message in page["messages"]] + read
        before = page["next_before"]
    assert read == list(range(1, 31))
    for number in range(5):
        ada.put(f"storage/blackboards/b{number}", {"data": {}})
        ada.put(f"storage/sessions/c{number}", {"metadata": {"n": number}})
    for listing, name, expected in (
        ("storage/blackboards?prefix=b", "key", ["b0", "b1", "b2", "b3", "b4"]),
        ("storage/sessions?", "session_id", ["c0", "c1", "c2", "c3", "c4", "s_1"]),
    ):
        found, cursor = [], ""
        while cursor is not None:
            page = ada.get(f"{listing}&limit=2{cursor and f'&cursor={cursor}'}").json()
            found += [item[name] for item in page["items"]]
            cursor = page["next_cursor"]
        assert found == expected
    cursor = ada.get("storage/sessions?limit=1").json()["next_cursor"]
    bob = ada.get(f"storage/sessions?cursor={cursor}", headers={"X-User-Id": "bob"})
    assert (bob.status_code, bob.json()["error_code"]) == (400, "INVALID_CURSOR")


def test_ids_with_signs_that_join_and_escape_are_ids_like_any_other(ada):
    for name in ("a%23b", "a%2Fmessages", "a%252Fb", "%F0%9F%8C%8D", "a/messages"):
        assert ada.post(f"storage/sessions/{name}/messages", said(name)).status_code == 201
        assert ada.get(f"storage/sessions/{name}").json()["messages"][0]["content"] == name or name.endswith("messages")
        assert ada.put(f"storage/blackboards/{name}", {"data": {"of": name}}).status_code == 200
    listed = [item["session_id"] for item in ada.get("storage/sessions").json()["items"]]
    assert listed == ["a#b", "a%2Fb", "a/messages", "🌍"]


@pytest.mark.parametrize(
    ("call", "body", "code"),
    [
        (("POST", MESSAGES), {"role": "user"}, "400 INVALID_REQUEST"),
        (("POST", MESSAGES), {"role": "", "content": 1}, "400 INVALID_KEY"),
        (("POST", MESSAGES), {"messages": []}, "400 INVALID_REQUEST"),
        (("POST", MESSAGES), {"messages": [{"role": "user", "content": 1}] * 25}, "400 INVALID_REQUEST"),
        (("POST", MESSAGES), {"role": "user", "content": "x" * 400_000}, "413 TOO_LARGE"),
        (("POST", "storage/sessions//messages"), {"role": "user", "content": 1}, "400 INVALID_KEY"),
        (("PUT", SESSION), {"ttl_hint": 0}, "400 INVALID_REQUEST"),
        (("PUT", SESSION), {"messages": []}, "400 INVALID_REQUEST"),
        (("PUT", BOARD), {"data": [1]}, "400 INVALID_REQUEST"),
        (("PUT", BOARD), {"data": {}, "expires_at": "2020-01-01T00:00:00Z"}, "400 INVALID_REQUEST"),
        (("GET", f"{SESSION}?before=0"), None, "400 INVALID_REQUEST"),
        (("GET", f"{BOARD}?scope=tenant"), None, "400 INVALID_REQUEST"),
    ],
)
def test_what_cannot_be_stored_is_refused_with_its_field(ada, call, body, code):
    answer = ada.request(*call, body)
    assert f"{answer.status_code} {answer.json()['error_code']}" == code


def test_a_users_blackboard_needs_a_user(acme):
    filesystem_routes(acme)
    answer = Api(token(acme)).get(f"{BOARD}?scope=user")
    assert (answer.status_code, answer.json()["error_code"]) == (400, "INVALID_CONTEXT")


def test_without_a_route_memory_says_so_and_goes_nowhere(acme):
    for call in ("storage/sessions/s", "storage/users/ada/memory"):
        answer = Api(token(acme), **ADA).get(call)
        assert (answer.status_code, answer.json()["error_code"]) == (500, "NO_ROUTE_CONFIGURED")
