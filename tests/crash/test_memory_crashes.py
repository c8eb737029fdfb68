"""Writers of a session that are killed at any moment lose nothing that they were told is stored, and leave no gap behind."""

import os
import random
import time

import pytest

from tests.crash.memory_writer import open_memory
from tests.crash.test_stream_crashes import Writer

KILLS = int(os.environ.get("NORTHSTAR_KILLS", "4"))


@pytest.mark.crash
@pytest.mark.line(148)
def test_writers_of_one_session_survive_kills_without_loss_or_gap(tmp_path, settings):
    settings.NORTHSTAR_ALLOWED_ROOTS = [str(tmp_path)]
    chance, live = random.Random(), [Writer(tmp_path, "steady", "memory_writer")]
    every = list(live)
    try:
        for kill in range(KILLS):
            victim = Writer(tmp_path, f"victim {kill}", "memory_writer")
            live.append(victim)
            every.append(victim)
            assert victim.first.wait(60)
            time.sleep(chance.uniform(0, 0.05))  # the moment of the kill is to be any
            live.pop().kill()
    finally:
        for writer in live:
            writer.kill()
    memory = open_memory(str(tmp_path))
    messages = list(memory.sessions.messages("talk"))
    assert [message.position for message in messages] == list(range(1, len(messages) + 1))
    assert memory.sessions.get("talk").header.count == len(messages)
    stored = {tuple(message.content): message.position for message in messages}
    for writer in every:
        assert writer.acknowledged
        assert all(stored[writer.name, number] == position for number, position in writer.acknowledged.items())
    memory._documents._driver.close()
