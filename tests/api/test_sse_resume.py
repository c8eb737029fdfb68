"""Nothing is missed and nothing repeated, wherever a client drops, whoever appends meanwhile."""

import asyncio

import pytest

from tests.api.asgi_client import follow


@pytest.mark.line(124)
def test_a_client_dropped_at_every_position_resumes_without_gap_or_repeat(acme_follower):
    acme_follower.append(200)

    async def drop_everywhere():
        async with follow(acme_follower.token) as stream:
            cursors = [stream.last_id, *(frame.id for frame in await stream.events(200))]
        for position, cursor in enumerate(cursors):
            async with follow(acme_follower.token, last_event_id=cursor) as stream:
                assert await stream.positions(200 - position) == list(range(position + 1, 201))
                assert (await stream.until("up-to-date")).data == {"position": 200}

    asyncio.run(drop_everywhere())


@pytest.mark.line(124)
def test_a_client_that_drops_after_each_event_misses_nothing_while_writers_append(acme_follower):
    async def drop_again_and_again():
        writers = [asyncio.create_task(asyncio.to_thread(append_slowly)) for _ in range(2)]
        seen, last_id = list[int](), None
        while len(seen) < 200:
            async with follow(acme_follower.token, last_event_id=last_id) as stream:
                seen += await stream.positions(1)
                last_id = stream.last_id
        await asyncio.gather(*writers)
        return seen

    def append_slowly():
        for n in range(100):
            acme_follower.append(1, start=n)

    assert asyncio.run(drop_again_and_again()) == list(range(1, 201))


def test_clients_that_join_while_events_are_appended_see_each_once(acme_follower):
    async def join_while_writing():
        writer = asyncio.create_task(asyncio.to_thread(lambda: [acme_follower.append(1, start=n) for n in range(120)]))

        async def read():
            async with follow(acme_follower.token) as stream:
                return await stream.positions(120)

        readers = []
        for _ in range(12):
            readers.append(asyncio.create_task(read()))
            async with follow(acme_follower.token) as pace:
                await pace.positions(10 * len(readers) - 9)
        await writer
        return await asyncio.gather(*readers)

    assert asyncio.run(join_while_writing()) == [list(range(1, 121))] * 12


def test_what_is_appended_arrives_live_after_one_mark_of_being_up_to_date(acme_follower):
    acme_follower.append(3)

    async def read():
        async with follow(acme_follower.token) as stream:
            frames = [await stream.frame() for _ in range(6)]
            await asyncio.to_thread(acme_follower.append, 2, "orders", 4)
            frames += [await stream.frame() for _ in range(2)]
        return [frame.event for frame in frames]

    opening, stored, live = [None, None], ["counted"] * 3, ["counted"] * 2
    assert asyncio.run(read()) == [*opening, *stored, "up-to-date", *live]


@pytest.mark.line(126)
def test_a_client_of_a_stream_without_events_gets_the_first_one(acme_follower):
    async def read():
        async with follow(acme_follower.token) as stream:
            assert (await stream.until("up-to-date")).data == {"position": 0}
            await asyncio.to_thread(acme_follower.append, 1)
            return await stream.positions(1)

    assert asyncio.run(read()) == [1]


def test_a_client_far_behind_reads_pages_until_it_has_caught_up(acme_follower):
    acme_follower.append(1000)

    async def read():
        async with follow(acme_follower.token, last_event_id="5") as stream:
            positions = await stream.positions(995)
            await stream.until("up-to-date")
            return positions

    assert asyncio.run(read()) == list(range(6, 1001))


@pytest.mark.parametrize("name", ["cursor", "last_event_id", "lastEventId", "after"])
def test_the_place_may_stand_in_the_query_and_the_header_wins(acme_follower, name):
    acme_follower.append(10)

    async def read():
        async with follow(acme_follower.token, query=f"{name}=4") as stream:
            first = await stream.positions(1)
        async with follow(acme_follower.token, query=f"{name}=4", last_event_id="7") as stream:
            return first + await stream.positions(1)

    assert asyncio.run(read()) == [5, 8]


def test_an_event_id_is_a_place_too(acme_follower):
    acme_follower.append(3)
    event_id = acme_follower.streams.list_after("orders").events[1].event_id

    async def read():
        async with follow(acme_follower.token, last_event_id=event_id) as stream:
            return await stream.positions(1)

    assert asyncio.run(read()) == [3]


def test_a_client_that_drops_before_the_first_event_keeps_its_place(acme_follower):
    acme_follower.append(3)

    async def read():
        async with follow(acme_follower.token, last_event_id="3") as stream:
            await stream.until("up-to-date")
            place = stream.last_id
        await asyncio.to_thread(acme_follower.append, 2, "orders", 4)
        async with follow(acme_follower.token, last_event_id=place) as stream:
            return await stream.positions(2)

    assert asyncio.run(read()) == [4, 5]
