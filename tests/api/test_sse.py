"""What a client of a stream sees besides events: the opening, heartbeats, refusals, resets, and when it is sent away."""

import asyncio
import json

import pytest
from django.db import connections

from northstar.context import RequestContext
from routing.changes import RouteUpdate, delete_route, update_route
from routing.keys import revoke_key
from routing.models import ApiKey, Route
from storage.api import sse
from storage.api.sse_frames import FINISHED
from storage.errors import BackendUnavailable
from storage.kinds.event_stream import EventStream
from storage.kinds.events import NewEvent, events_appended
from storage.opening import open_store
from tests.api.asgi_client import PATIENCE_SECONDS, Stream, follow, stream_scope
from tests.conftest import CAUSE, token


def in_thread(work, *arguments):
    """Run something that uses the database outside of the event loop."""

    def run():
        try:
            return work(*arguments)
        finally:
            connections.close_all()

    return asyncio.to_thread(run)


async def answered(scope):
    stream = await Stream(scope).opened()
    body = await stream.body()
    await stream.leave()
    return stream.status, stream.headers, body


def test_the_answer_opens_at_once_with_when_and_where_to_come_back(acme_follower):
    async def read():
        async with follow(acme_follower.token, headers=[(b"x-request-id", b"req-7")]) as stream:
            return stream.status, stream.headers, await stream.frame(), await stream.frame()

    status, headers, retry, priming = asyncio.run(read())
    assert status == 200
    assert headers["content-type"] == "text/event-stream; charset=utf-8"
    assert headers["content-encoding"] == "identity"
    assert headers["cache-control"] == "no-cache, no-transform"
    assert headers["x-accel-buffering"] == "no"
    assert (headers["x-request-id"], headers["x-northstar-backend"]) == ("req-7", "filesystem")
    assert headers["x-northstar-route-revision"] == "1"
    assert 2000 <= int(retry.fields["retry"]) <= 3000
    assert list(priming.fields) == ["id"]  # no data: no handler of the client is called


def test_a_frame_says_what_was_stored_on_one_line(acme_follower):
    event = NewEvent("order placed", {"text": "two\r\nlines\n\nid: forged", "big": 2**70}, event_id="order-1")
    [stored] = acme_follower.streams.append("orders", [event])

    async def read():
        async with follow(acme_follower.token) as stream:
            [frame] = await stream.events(1)
            return frame

    frame = asyncio.run(read())
    assert (frame.id, frame.event) == (stored.cursor, "order placed")
    assert frame.text.count("\n") == 2
    assert frame.data["data"] == event.data
    assert set(frame.data) == {"event_id", "position", "type", "data", "ts", "recorded_at", "surface"}
    assert (frame.data["event_id"], frame.data["surface"]) == ("order-1", "_")


@pytest.mark.line(124)
def test_heartbeats_come_while_nothing_happens(acme_follower, settings):
    settings.NORTHSTAR_SSE_HEARTBEAT_SECONDS = 0.05

    async def read():
        async with follow(acme_follower.token) as stream:
            await stream.until("up-to-date")
            return [(await stream.frame()).text for _ in range(3)]

    assert asyncio.run(read()) == [": heartbeat"] * 3


@pytest.mark.parametrize(
    ("place", "reason"),
    [("never-seen", "unknown_event"), ("cur_forged", "invalid_cursor"), ("x" * 3000, "invalid_cursor")],
)
def test_a_place_that_cannot_be_honoured_is_a_reset_and_then_no_more(acme_follower, place, reason):
    acme_follower.append(3)

    async def read():
        async with follow(acme_follower.token, last_event_id=place) as stream:
            [reset] = await stream.rest()
            status = stream.status
        return status, reset, await answered(stream_scope(acme_follower.token, last_event_id=reset.id))

    status, reset, again = asyncio.run(read())
    assert (status, reset.event) == (200, "reset")
    assert reset.data == {"reason": reason, "earliest": 0, "tail": 3}
    assert (again[0], again[2]) == (204, b"")


def test_another_tenants_cursor_and_events_are_out_of_reach(acme_follower, globex_follower):
    acme_follower.append(5)
    globex_follower.append(1, start=99)
    cursor = acme_follower.streams.list_after("orders").events[2].cursor

    async def read():
        async with follow(globex_follower.token, last_event_id=cursor) as stream:
            [reset] = await stream.rest()
        async with follow(globex_follower.token) as stream:
            [event] = await stream.events(1)
            await stream.until("up-to-date")
        return reset.data, event.data["data"]

    assert asyncio.run(read()) == ({"reason": "invalid_cursor", "earliest": 0, "tail": 1}, {"n": 99})


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"token": "ns_aaaaaaaaaaaa_bad"}, 401, "UNAUTHENTICATED"),
        ({"query": "cursor=1&cursor=2"}, 400, "INVALID_REQUEST"),
        ({"query": "cursor=1&lastEventId=2"}, 400, "INVALID_REQUEST"),
        ({"query": "limit=5"}, 400, "INVALID_REQUEST"),
        ({"query": "cursor=%ff"}, 400, "INVALID_REQUEST"),
        ({"headers": [(b"last-event-id", b"1"), (b"last-event-id", b"2")]}, 400, "INVALID_CONTEXT"),
        ({"headers": [(b"x-env", b"dev"), (b"x-env", b"prod")]}, 400, "INVALID_CONTEXT"),
        ({"headers": [(b"x-tenant-id", b"globex")]}, 403, "TENANT_MISMATCH"),
        ({"headers": [(b"x-env", b"prod")]}, 500, "NO_ROUTE_CONFIGURED"),
        ({"stream_id": "a\nb"}, 400, "INVALID_KEY"),
    ],
)
def test_what_is_wrong_before_the_first_byte_is_a_problem(acme_follower, change, status, code):
    scope = stream_scope(**{"token": acme_follower.token, **change})
    given, headers, body = asyncio.run(answered(scope))
    assert (given, headers["content-type"]) == (status, "application/problem+json")
    assert json.loads(body)["error_code"] == code


def test_a_key_that_may_not_read_is_refused(acme_follower):
    writer = token(acme_follower.tenant, ["data:write"])
    status, _, body = asyncio.run(answered(stream_scope(writer)))
    assert (status, json.loads(body)["error_code"]) == (403, "FORBIDDEN")


def test_too_many_streams_of_one_tenant_are_refused_and_other_tenants_are_served(
    acme_follower, globex_follower, settings
):
    settings.NORTHSTAR_SSE_MAX_STREAMS_PER_TENANT = 2

    async def crowd():
        async with follow(acme_follower.token), follow(acme_follower.token):
            status, headers, body = await answered(stream_scope(acme_follower.token))
            async with follow(globex_follower.token) as other:
                assert other.status == 200
        async with follow(acme_follower.token) as later:
            return status, headers["retry-after"], json.loads(body)["error_code"], later.status

    status, retry_after, code, later = asyncio.run(crowd())
    assert (status, code, later) == (429, "RATE_LIMITED", 200)
    assert int(retry_after) >= 1


def test_a_revoked_key_closes_its_streams_without_inviting_it_back(acme_follower, settings):
    settings.NORTHSTAR_SSE_RECHECK_SECONDS = 0.05

    async def read():
        async with follow(acme_follower.token) as stream:
            await stream.until("up-to-date")
            await in_thread(lambda: revoke_key(ApiKey.objects.get().key_id, CAUSE))
            return await asyncio.wait_for(stream.rest(), PATIENCE_SECONDS)

    assert [frame.fields for frame in asyncio.run(read())] == []


@pytest.mark.parametrize("change", ["updated", "deleted"])
def test_a_changed_route_sends_its_clients_back_to_connect_again(acme_follower, change):
    def flip():
        route = Route.objects.get(resource_kind="event_stream")
        if change == "deleted":
            delete_route(route.pk, CAUSE)
        else:
            update_route(route.pk, RouteUpdate(tier="gold"), CAUSE)

    async def read():
        async with follow(acme_follower.token) as stream:
            await stream.until("up-to-date")
            await in_thread(flip)
            return await asyncio.wait_for(stream.rest(), PATIENCE_SECONDS)

    [farewell] = asyncio.run(read())
    assert list(farewell.fields) == ["retry"]


def test_stopping_ends_every_stream_and_admits_no_more(acme_follower):
    async def stop():
        async with follow(acme_follower.token) as one, follow(acme_follower.token, "returns") as two:
            await one.until("up-to-date")
            await two.until("up-to-date")
            await asyncio.to_thread(sse.close_streams)
            ends = [[list(frame.fields) for frame in await stream.rest()] for stream in (one, two)]
        return ends, (await answered(stream_scope(acme_follower.token)))[0]

    assert asyncio.run(stop()) == ([[["retry"]], [["retry"]]], 503)


def test_a_connection_that_is_old_enough_is_sent_back(acme_follower, settings):
    settings.NORTHSTAR_SSE_MAX_AGE_SECONDS = 0.1

    async def read():
        async with follow(acme_follower.token) as stream:
            return await asyncio.wait_for(stream.rest(), PATIENCE_SECONDS)

    assert list(asyncio.run(read())[-1].fields) == ["retry"]


def test_a_store_that_stops_answering_closes_the_stream_and_says_when_to_come_back(acme_follower, monkeypatch):
    acme_follower.append(2)

    async def read():
        async with follow(acme_follower.token) as stream:
            await stream.until("up-to-date")

            def fail(*_arguments):
                raise BackendUnavailable("The disk is gone.")

            monkeypatch.setattr(EventStream, "state", fail)
            return await asyncio.wait_for(stream.rest(), PATIENCE_SECONDS)

    [farewell] = asyncio.run(read())
    assert list(farewell.fields) == ["retry"]


def test_appends_that_nobody_announced_are_found_by_looking(acme_follower):
    async def read():
        async with follow(acme_follower.token) as stream:
            await stream.until("up-to-date")
            events_appended.disconnect(sse._hub._on_appended)
            await in_thread(acme_follower.append, 3)
            return await stream.positions(3)

    assert asyncio.run(read()) == [1, 2, 3]


@pytest.mark.line(127)
def test_a_client_that_leaves_frees_everything(acme_follower):
    acme_follower.append(300)

    async def leave():
        async with follow(acme_follower.token), follow(acme_follower.token) as second:
            await second.until("up-to-date")
            following = len(sse._hub._channels)
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        await asyncio.gather(*tasks, return_exceptions=True)
        return following, sse._hub._channels, sse._hub._listeners

    assert asyncio.run(leave()) == (1, {}, {})


def test_a_client_that_stalls_is_dropped_and_holds_nobody_up(acme_follower, settings):
    settings.NORTHSTAR_SSE_SEND_TIMEOUT_SECONDS = 0.2
    acme_follower.append(5)

    async def stall():
        never = asyncio.Event()

        async def take_nothing(message):
            if message["type"] == "http.response.body":
                await never.wait()

        stalled = asyncio.create_task(sse.stream_app(stream_scope(acme_follower.token), never.wait, take_nothing))
        async with follow(acme_follower.token) as stream:
            positions = await stream.positions(5)
        await asyncio.wait_for(stalled, PATIENCE_SECONDS)
        return positions

    assert asyncio.run(stall()) == [1, 2, 3, 4, 5]


def test_a_crowd_that_comes_back_costs_one_look_at_the_stream(acme_follower, monkeypatch):
    acme_follower.append(100)
    cursors = [event.cursor for event in acme_follower.streams.list_after("orders").events]
    reads = []
    list_after = EventStream.list_after

    def counted(*given):
        reads.append(given)
        return list_after(*given)

    monkeypatch.setattr(EventStream, "list_after", counted)

    async def storm():
        async def one(cursor):
            async with follow(acme_follower.token, last_event_id=cursor) as stream:
                await stream.until("up-to-date")

        async with follow(acme_follower.token, last_event_id=cursors[-1]):
            await asyncio.gather(*(one(cursor) for cursor in cursors[-60:] * 2))

    asyncio.run(storm())
    assert len(reads) == 1


def test_a_stream_begun_anew_under_a_listener_is_a_reset(acme_follower, monkeypatch):
    acme_follower.append(4)

    async def read():
        async with follow(acme_follower.token) as stream:
            await stream.until("up-to-date")
            other = await in_thread(open_elsewhere)
            monkeypatch.setattr(EventStream, "state", lambda _self, stream_id: other)
            return await asyncio.wait_for(stream.rest(), PATIENCE_SECONDS)

    def open_elsewhere():
        streams = open_store("event_stream", RequestContext("acme", "dev", "lab"))
        streams.append("another", [NewEvent("placed", {})])
        return streams.state("another")

    [reset] = asyncio.run(read())
    assert (reset.id, reset.event, reset.data["reason"]) == (FINISHED, "reset", "stream_replaced")


@pytest.mark.parametrize(
    ("accept", "method", "path", "wanted"),
    [
        ("text/event-stream", "GET", "/api/v1/storage/streams/a/b/events", True),
        ("application/json, text/event-stream;q=0.9", "GET", "/timeline/a/events", True),
        ("text/event-stream;q=0", "GET", "/timeline/a/events", False),
        ("*/*", "GET", "/timeline/a/events", False),
        ("text/event-stream", "POST", "/timeline/a/events", False),
        ("text/event-stream", "GET", "/timeline/events", False),
        ("text/event-stream", "GET", "/api/v1/storage/streams/a/events/", False),
    ],
)
def test_only_a_get_that_asks_for_events_is_a_stream(accept, method, path, wanted):
    scope = {"type": "http", "method": method, "path": path, "headers": [(b"accept", accept.encode())]}
    assert sse.is_stream_request(scope) is wanted


def test_the_earlier_engines_address_streams_too(acme_follower):
    acme_follower.append(2)

    async def read():
        async with follow(acme_follower.token, path="/timeline/orders/events") as stream:
            return await stream.positions(2)

    assert asyncio.run(read()) == [1, 2]
