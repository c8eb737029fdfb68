"""`kill -9` of a writer to DynamoDB costs nothing acknowledged, shows nothing half written, counts nothing twice."""

import json
import random
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from storage.backends.dynamodb import DynamoDBDocuments
from storage.documents import Ref
from tests.crash import dynamodb_writer
from tests.crash.document_writer import COLLECTION, PARTITION, SHARED, THREADS
from tests.crash.dynamodb_writer import COUNTER, apply, opened
from tests.crash.test_document_crashes import Writer, own_documents, state_after
from tests.stack.fixtures import AwsAccount

KILLS = 10
AT_ONCE = 2
LONGEST_LIFE_SECONDS = 0.3
"""A writer is killed at a random moment of so much time after each of its threads had its first acknowledgement."""


@pytest.fixture
def config(aws_account: AwsAccount, settings) -> dict[str, Any]:
    settings.NORTHSTAR_ALLOWED_ENDPOINTS = [aws_account.endpoint]
    keys = {"access_key_id": aws_account.access_key, "secret_access_key": aws_account.secret_key}
    return keys | {"region": aws_account.region, "endpoint": aws_account.endpoint}


@pytest.fixture
def documents(config: dict[str, Any]) -> Iterator[DynamoDBDocuments]:
    driver = opened(config)
    driver.prepare()
    yield driver
    driver.close()


def start(config: dict[str, Any], name: str) -> Writer:
    command = [sys.executable, "-m", dynamodb_writer.__name__, json.dumps(config), name]
    return Writer(name, subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE), [0] * THREADS)


def kill_at_random(writer: Writer) -> None:
    writer.wait_until_busy()
    threading.Event().wait(random.uniform(0, LONGEST_LIFE_SECONDS))  # the random moment
    writer.kill()


def settled_steps(documents: DynamoDBDocuments, writer: Writer) -> int:
    """Check each thread of a killed writer: all it was told, perhaps one more step, whole. Returns the steps that are stored.

    A last step with an operation id is sent again first, as its client would: it is then there once.
    """
    total = 0
    for thread, acknowledged in enumerate(writer.acknowledged):
        steps = documents_of(documents, writer, thread)[f"{writer.name}/{thread}/left"]["n"]
        assert steps in {acknowledged, acknowledged + 1}
        if (acknowledged + 1) % 2:
            apply(documents, writer.name, thread, acknowledged + 1)
            steps = acknowledged + 1
        assert documents_of(documents, writer, thread) == state_after(writer.name, thread, steps)
        total += steps
    return total


def documents_of(documents: DynamoDBDocuments, writer: Writer, thread: int) -> dict[str, dict]:
    return own_documents(documents, f"{writer.name}/{thread}/")


@pytest.mark.crash
def test_killing_writers_at_random_moments_loses_nothing_and_counts_nothing_twice(documents, config):
    writers = [start(config, f"w{number}") for number in range(AT_ONCE)]
    killed: list[Writer] = []
    try:
        while writers:
            if len(killed) + len(writers) < KILLS:  # while one dies, another is alive
                writers.append(start(config, f"w{len(killed) + len(writers)}"))
            killed.append(writers.pop(0))
            kill_at_random(killed[-1])
    finally:
        for writer in writers:
            writer.kill()
    steps = sum(settled_steps(documents, writer) for writer in killed)
    assert count_in(documents, SHARED) == steps
    told = sum(sum(max(0, number - 1) for number in writer.acknowledged) for writer in killed)
    assert told <= count_in(documents, COUNTER.key) <= told + THREADS * KILLS


def count_in(documents: DynamoDBDocuments, key: str) -> int:
    found = documents.get(Ref(COLLECTION, PARTITION, key))
    return found.fields["n"] if found else 0
