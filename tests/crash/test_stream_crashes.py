"""Writers that are killed at any moment lose nothing that they were told is stored, and leave no gap behind."""

import random
import subprocess
import sys
import threading
import time

import pytest

from storage.kinds.event_stream import EventStream
from storage.kinds.events import StoredEvent
from tests.storage.stores import FilesystemStores

KILLS = 50


class Writer:
    """A writing process of its own, and what it was told."""

    def __init__(self, folder, name, module="stream_writer"):
        self.name = name
        self.acknowledged: dict[int, int] = {}
        self.first = threading.Event()
        command = [sys.executable, "-m", f"tests.crash.{module}", str(folder), name]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE)
        self._listener = threading.Thread(target=self._listen)
        self._listener.start()

    def kill(self):
        self._process.kill()
        self._process.wait()
        self._listener.join()
        self._process.stdout.close()

    def _listen(self):
        for line in self._process.stdout:
            if line.endswith(b"\n"):  # the last may be cut by the kill
                number, position = map(int, line.split())
                self.acknowledged[number] = position
                self.first.set()
        self.first.set()


@pytest.fixture
def streams(tmp_path, settings):
    settings.NORTHSTAR_ALLOWED_ROOTS = [str(tmp_path)]
    stores = FilesystemStores(tmp_path)
    yield stores.open(EventStream, "event_stream")
    stores.close()


def read_all(streams):
    events: list[StoredEvent] = []
    while True:
        page = streams.list_after("orders", len(events), 1000)
        events += page.events
        if page.up_to_date:
            return events


def check(streams, writers):
    """Every acknowledged event is at its position, each position once, each writer's events in its order."""
    events = read_all(streams)
    assert [event.position for event in events] == list(range(1, len(events) + 1))
    stored = {tuple(event.data): event.position for event in events}
    assert len(stored) == len(events)
    for writer in writers:
        for number, position in writer.acknowledged.items():
            assert stored[writer.name, number] == position
        own = [event.data[1] for event in events if event.data[0] == writer.name]
        assert own == sorted(own)


@pytest.mark.crash
@pytest.mark.line(121, 123)
def test_two_writers_of_one_stream_survive_fifty_kills_without_loss_or_gap(streams, tmp_path):
    chance = random.Random()
    live = [Writer(tmp_path, "steady"), Writer(tmp_path, "victim 0")]
    all_writers = list(live)
    try:
        assert all(writer.first.wait(60) for writer in live)
        for kill in range(1, KILLS + 1):
            successor = Writer(tmp_path, f"victim {kill}")  # starts while the others write
            live.append(successor)
            all_writers.append(successor)
            assert successor.first.wait(60)
            time.sleep(chance.uniform(0, 0.05))  # the moment of the kill is to be any
            live.pop(1 if chance.random() < 0.9 else 0).kill()
    finally:
        for writer in live:
            writer.kill()
    assert all(writer.acknowledged for writer in all_writers)
    check(streams, all_writers)
