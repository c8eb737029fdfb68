"""A process that writes to DynamoDB until it is killed, and says on stdout what was acknowledged: one "<thread> <step>" per line.

Steps are those of `document_writer`. The odd ones carry an operation id, and are sent again under it by whoever comes next.
"""

import json
import os
import sys
import threading
from typing import Any

from django.conf import settings

from northstar import logs
from northstar.modes import LAB
from storage.backends.dynamodb import DynamoDBDocuments
from storage.backends.dynamodb_config import DynamoDBConfig
from storage.documents import Delete, Increment, Operation, Outcome, Put, Ref
from tests.crash.document_writer import COLLECTION, PARTITION, SHARED, THREADS, step_of

COUNTER = Ref(COLLECTION, PARTITION, "counter")
"""Every writer adds one to it before each step: now natively, now under an operation id."""


def opened(config: dict[str, Any]) -> DynamoDBDocuments:
    return DynamoDBDocuments(DynamoDBConfig.model_validate(config), mode=LAB, epoch=1)


def name_of(writer: str, thread: int, number: int) -> str:
    return f"{writer}/{thread}/{number}"


def apply(documents: DynamoDBDocuments, writer: str, thread: int, number: int) -> list[Outcome]:
    """Do one step: its documents and the shared counter together."""
    step = step_of(writer, thread, number)
    operations: list[Operation] = [Put(key, fields) for key, fields in step.puts.items()]
    operations += [Delete(key) for key in step.deletes] + [Increment(SHARED, {"n": 1})]
    operation_id = name_of(writer, thread, number) if number % 2 else ""
    return documents.write(COLLECTION, PARTITION, operations, operation_id=operation_id)


def main(config: str, writer: str) -> None:
    logs.configure(readable=True)  # not on stdout
    given = json.loads(config)
    settings.configure(NORTHSTAR_ALLOWED_ENDPOINTS=[given["endpoint"]])
    documents = opened(given)

    def write(thread: int) -> None:
        number = 0
        while True:
            number += 1
            apply(documents, writer, thread, number)
            os.write(1, b"%d %d\n" % (thread, number))
            documents.increment(COUNTER, {"n": 1})

    for thread in range(THREADS):
        threading.Thread(target=write, args=(thread,), daemon=True).start()
    sys.stdin.read()  # ends with the test's process, however that ends


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
