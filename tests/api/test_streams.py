"""Appending to streams and listing them over REST."""

import json

import pytest

from routing.models import IdempotencyRecord
from storage.api.stream_bodies import EventOut, EventPageOut


def nested(levels):
    return [nested(levels - 1)] if levels else 1


def append(api, body, stream_id="orders", **options):
    return api.post(f"storage/streams/{stream_id}/events", body, **options)


def listed(api, query="", stream_id="orders"):
    answer = api.get(f"storage/streams/{stream_id}/events{query}")
    assert answer.status_code == 200, answer.content
    return answer.json()


def test_an_event_is_answered_as_it_is_stored(acme_api):
    body = {"type": "placed", "data": {"total": 5}, "ts": "2020-01-01T00:00:00Z", "event_id": "order-1"}
    answer = append(acme_api, body)
    event = EventOut.model_validate_json(answer.content)
    assert answer.status_code == 201
    assert (event.event_id, event.position, event.type, event.data) == ("order-1", 1, "placed", {"total": 5})
    assert answer.json()["ts"] == "2020-01-01T00:00:00.000000Z"
    assert (answer["X-Northstar-Backend"], answer["X-Northstar-Route-Revision"]) == ("filesystem", "1")
    assert listed(acme_api)["items"] == [answer.json()]


def test_several_events_are_appended_together(acme_api):
    answer = append(acme_api, {"events": [{"type": "n", "data": n} for n in range(24)]})
    assert answer.status_code == 201
    assert [event["position"] for event in answer.json()["events"]] == list(range(1, 25))


def test_one_bad_event_keeps_its_whole_batch_out(acme_api):
    answer = append(acme_api, {"events": [{"type": "n", "data": 1}, {"type": "two\nlines", "data": 2}]})
    assert (answer.status_code, answer.json()["error_code"]) == (400, "INVALID_KEY")
    assert listed(acme_api)["items"] == []


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"data": 1}, "type"),
        ({"type": "placed"}, "data"),
        ({"type": 5, "data": 1}, "type"),
        ({"type": "placed", "data": 1, "ts": 1700000000}, "ts"),
        ({"type": "placed", "data": 1, "ts": "yesterday"}, "ts"),
        ({"type": "placed", "data": 1, "position": 7}, "position"),
        ({"events": []}, "events"),
        ({"events": [{"type": "n", "data": n} for n in range(25)]}, "events"),
        ({"events": [{"type": "n", "data": 1, "id": 2}]}, "events.0.id"),
        ({"events": [], "type": "placed"}, "type"),
    ],
)
def test_a_body_that_is_no_append_names_the_field(acme_api, body, field):
    answer = append(acme_api, body)
    assert (answer.status_code, answer.json()["error_code"]) == (400, "INVALID_REQUEST")
    assert field in [error["field"] for error in answer.json()["errors"]]


def test_an_event_sent_again_is_answered_as_stored_and_other_data_under_its_id_refused(acme_api):
    first = append(acme_api, {"type": "placed", "data": {"n": 1}, "event_id": "x"})
    again = append(acme_api, {"type": "placed", "data": {"n": 1}, "event_id": "x"})
    other = append(acme_api, {"type": "placed", "data": {"n": 2}, "event_id": "x"})
    assert again.json() == first.json()
    assert (other.status_code, other.json()["error_code"]) == (409, "CONFLICT")
    assert "'x'" in other.json()["detail"]


def test_an_idempotency_key_makes_one_event_of_two_requests(acme_api):
    headers = {"Idempotency-Key": "call-1"}
    first = append(acme_api, {"type": "placed", "data": 1}, headers=headers)
    again = append(acme_api, {"type": "placed", "data": 1}, headers=headers)
    assert (again.status_code, again.json(), again["Idempotent-Replayed"]) == (201, first.json(), "true")
    assert len(listed(acme_api)["items"]) == 1


def test_an_attempt_that_died_after_its_effect_is_recognised_by_the_next(acme_api):
    headers = {"Idempotency-Key": "call-1"}
    first = append(acme_api, {"events": [{"type": "a", "data": 1}, {"type": "b", "data": 2}]}, headers=headers)
    IdempotencyRecord.objects.all().delete()  # as if the process had died before it kept its answer
    again = append(acme_api, {"events": [{"type": "a", "data": 1}, {"type": "b", "data": 2}]}, headers=headers)
    assert again.json() == first.json()


@pytest.mark.line(122)
def test_pages_join_to_the_whole_stream(acme_api):
    append(acme_api, {"events": [{"type": "n", "data": n} for n in range(7)]})
    first = listed(acme_api, "?limit=3")
    second = listed(acme_api, f"?limit=3&cursor={first['next_cursor']}")
    last = listed(acme_api, f"?limit=3&cursor={second['next_cursor']}")
    assert [event["data"] for page in (first, second, last) for event in page["items"]] == list(range(7))
    assert [(page["up_to_date"], bool(page["next_cursor"])) for page in (first, second, last)] == [
        (False, True),
        (False, True),
        (True, False),
    ]
    EventPageOut.model_validate(last)


def test_a_place_is_an_event_id_a_position_or_a_cursor(acme_api):
    stored = append(acme_api, {"events": [{"type": "n", "data": n, "event_id": f"ev_00{n}"} for n in (1, 2, 3)]}).json()
    for place in ("ev_001", "1", stored["events"][0]["cursor"]):
        assert [event["event_id"] for event in listed(acme_api, f"?after={place}")["items"]] == ["ev_002", "ev_003"]


def test_the_tail_cursor_of_an_event_finds_what_comes_later(acme_api):
    cursor = append(acme_api, {"type": "n", "data": 1}).json()["cursor"]
    assert listed(acme_api, f"?after={cursor}") == {"items": [], "next_cursor": None, "up_to_date": True}
    append(acme_api, {"type": "n", "data": 2})
    assert [event["data"] for event in listed(acme_api, f"?after={cursor}")["items"]] == [2]


def test_an_unknown_event_id_is_gone_and_says_where_to_resume(acme_api):
    append(acme_api, {"type": "n", "data": 1})
    answer = acme_api.get("storage/streams/orders/events?after=never")
    body = answer.json()
    assert (answer.status_code, body["error_code"]) == (410, "CURSOR_GONE")
    assert (body["reason"], body["earliest"], body["tail"]) == ("unknown_event", 0, 1)


@pytest.mark.line(77)
def test_a_cursor_of_another_stream_tenant_or_surface_or_a_forged_one_is_refused(acme_api, globex_api):
    cursor = append(acme_api, {"type": "n", "data": 1}).json()["cursor"]
    attempts = [
        acme_api.get(f"storage/streams/returns/events?after={cursor}"),
        globex_api.get(f"storage/streams/orders/events?after={cursor}"),
        acme_api.get(f"storage/streams/orders/events?after={cursor}", headers={"X-Surface-Id": "squared2"}),
        acme_api.get(f"storage/streams/orders/events?after={cursor[:-2]}aa"),
    ]
    assert {(answer.status_code, answer.json()["error_code"]) for answer in attempts} == {(400, "INVALID_CURSOR")}


@pytest.mark.parametrize(
    "query", ["?limit=0", "?limit=1001", "?limit=x", "?after=1&cursor=2", "?after=1&after=2", "?x=1"]
)
def test_a_query_that_means_nothing_is_refused(acme_api, query):
    answer = acme_api.get(f"storage/streams/orders/events{query}")
    assert (answer.status_code, answer.json()["error_code"]) == (400, "INVALID_REQUEST")


def test_another_tenant_sees_nothing(acme_api, globex_api):
    append(acme_api, {"type": "secret", "data": 1, "event_id": "mine"})
    assert listed(globex_api)["items"] == []
    assert globex_api.get("storage/streams/orders/events?after=mine").status_code == 410
    assert append(globex_api, {"type": "other", "data": 2, "event_id": "mine"}).json()["position"] == 1


def test_surfaces_are_normalised_and_apart(acme_api):
    append(acme_api, {"type": "n", "data": 1}, headers={"X-Surface-Id": "SQUARED²"})
    answer = acme_api.get("storage/streams/orders/events", headers={"X-Surface-Id": "squared"})
    assert [event["surface"] for event in answer.json()["items"]] == ["squared2"]
    assert listed(acme_api)["items"] == []


@pytest.mark.parametrize("stream_id", ["a%2Fb", "a/b", "caf%C3%A9", "100%25", "a/events", "%F0%9F%9A%80 x"])
def test_a_stream_may_have_an_odd_name(acme_api, stream_id):
    append(acme_api, {"type": "n", "data": stream_id}, stream_id=stream_id)
    assert [event["data"] for event in listed(acme_api, stream_id=stream_id)["items"]] == [stream_id]


def test_wide_integers_and_exact_texts_survive(acme_api):
    data = {"big": 2**70, "amount": "1.10", "float": 1.0, "text": "é\r\n\u2028"}
    append(acme_api, {"type": "n", "data": data})
    [event] = json.loads(acme_api.get("storage/streams/orders/events").content)["items"]
    assert event["data"] == data
    assert type(event["data"]["float"]) is float


@pytest.mark.parametrize(
    ("data", "status", "code"),
    [
        ("x" * 360_000, 413, "TOO_LARGE"),
        ("x" * 1_100_000, 413, "TOO_LARGE"),
        (nested(21), 400, "INVALID_REQUEST"),
    ],
)
def test_what_no_store_can_hold_is_refused_and_nothing_stored(acme_api, data, status, code):
    answer = append(acme_api, {"type": "n", "data": data})
    assert answer.status_code == status
    assert answer.json()["error_code"] == code
    assert listed(acme_api)["items"] == []


def test_reading_and_writing_need_their_scopes(acme, acme_api, api):
    reader, writer = api(acme, scopes=["data:read"]), api(acme, scopes=["data:write"])
    assert append(reader, {"type": "n", "data": 1}).status_code == 403
    assert writer.get("storage/streams/orders/events").status_code == 403
    assert append(writer, {"type": "n", "data": 1}).status_code == 201
    assert reader.get("storage/streams/orders/events").status_code == 200


def test_the_earlier_engines_append_and_list(acme_api):
    first = acme_api.post(
        "/timeline/tenant_timeline/append", {"type": "placed", "payload": {"n": 1}, "event_id": "ev_001"}
    )
    second = acme_api.post(
        "/timeline/tenant_timeline/append", {"type": "placed", "data": {"n": 2}, "ts": "2020-01-01T00:00:00"}
    )
    both = acme_api.post("/timeline/tenant_timeline/append", {"type": "placed", "data": 1, "payload": 2})
    assert (first.status_code, first.json()["event_id"], first.json()["data"]) == (201, "ev_001", {"n": 1})
    assert second.json()["ts"] == "2020-01-01T00:00:00.000000Z"
    assert both.status_code == 400
    answer = acme_api.get("/timeline/tenant_timeline/events?after=ev_001")
    assert [event["data"] for event in answer.json()["items"]] == [{"n": 2}]
    assert listed(acme_api, stream_id="tenant_timeline")["items"][0]["event_id"] == "ev_001"


def test_a_process_without_streams_says_so_instead_of_listing(acme_api):
    answer = acme_api.get("storage/streams/orders/events", headers={"Accept": "text/event-stream"})
    assert (answer.status_code, answer.json()["error_code"]) == (400, "INVALID_REQUEST")
