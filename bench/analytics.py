"""Analytics through HTTP: batches of 500, validated and deduplicated, against Django's bulk_create of the same rows."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final

import orjson
from django.db import connection, models
from django.test import Client
from uuid_utils import uuid7

from bench.harness import Plan, Result, Side, Size, at_least, compare, timed
from bench.home import Home

BATCH: Final = 500
PLANS: Final = {Size.SMOKE: Plan(2, 1, 1), Size.QUICK: Plan(30, 1), Size.FULL: Plan(60, 4)}
AIM: Final = 8.0
"""Rows in the same time: so many times bulk_create's."""
_TEXTS: Final = (
    *("app", "surface", "platform", "session_id", "request_id", "run_id", "step_id", "utm_source", "utm_medium"),
    *("utm_campaign", "utm_content", "utm_term", "status", "error_message"),
)


def run(home: Home, size: Size) -> list[Result]:
    with _table() as table:
        client = Client(SERVER_NAME="localhost")
        headers = {"Authorization": f"Bearer {home.token}"}

        bodies = iter([orjson.dumps({"records": batch}) for batch in _batches(PLANS[size])])
        rows = iter(_batches(PLANS[size]))

        def send() -> None:
            answer = client.post(
                "/api/v1/analytics/records", next(bodies), content_type="application/json", headers=headers
            )
            assert answer.json()["counts"] == {"stored": BATCH}, answer.content[:500]

        def insert() -> None:
            now = datetime.now(UTC)
            table.objects.bulk_create(table(**_columns(record), created_at=now) for record in next(rows))

        result = compare(
            f"ingest {BATCH} records a batch, through HTTP",
            Side("POST /analytics/records", timed(send)),
            Side("bulk_create", timed(insert)),
            PLANS[size],
            faster=True,
        )
    return [replace(result, bar=at_least(result, AIM))]


def _batches(plan: Plan) -> list[list[dict[str, Any]]]:
    """All batches that a plan takes, made before anything is timed: each has new ids."""
    return [_records() for _ in range((plan.rounds + plan.warm_up) * plan.calls)]


def _records() -> list[dict[str, Any]]:
    made = random.Random()
    return [
        {
            "analytics_id": str(uuid7()),
            "app": "shop",
            "surface": "checkout",
            "platform": "web",
            "session_id": f"s-{made.randrange(10**6)}",
            "request_id": str(uuid7()),
            "run_id": None if number % 10 else str(uuid7()),
            "step_id": str(number % 10),
            "utm_source": "google",
            "utm_medium": "cpc",
            "utm_campaign": f"spring-{number % 7}",
            "utm_content": f"ad-{number % 5}",
            "utm_term": "shoes",
            "status": "success",
            "error_message": None,
            "payload": {"page": "/checkout", "value": 12.5, "items": [1, 2, 3], "currency": "EUR"},
            "timestamp": datetime.now(UTC).isoformat(),
        }
        for number in range(BATCH)
    ]


def _columns(record: dict[str, Any]) -> dict[str, Any]:
    """A record as the columns of a table: times as times."""
    own = {"tenant": "acme", "env": "dev", "outcome": "stored", "channel": "Paid Search"}
    return record | own | {"timestamp": datetime.fromisoformat(record["timestamp"])}


@contextmanager
def _table() -> Iterator[Any]:
    """A table with the columns of a record, and the indexes that the same queries need: by id, by time, by run."""
    texts = {name: models.CharField(max_length=2048, null=True) for name in (*_TEXTS, "channel")}
    columns: dict[str, Any] = {
        "tenant": models.CharField(max_length=64),
        "env": models.CharField(max_length=31),
        "analytics_id": models.CharField(max_length=128),
        "payload": models.JSONField(null=True),
        "outcome": models.CharField(max_length=16),
        "timestamp": models.DateTimeField(),
        "created_at": models.DateTimeField(),
    }
    meta = type(
        "Meta",
        (),
        {
            "app_label": "analytics",
            "constraints": [models.UniqueConstraint(fields=["tenant", "env", "analytics_id"], name="bench_id")],
            "indexes": [
                models.Index(fields=["tenant", "env", "timestamp"], name="bench_time"),
                models.Index(fields=["tenant", "env", "run_id"], name="bench_run"),
            ],
        },
    )
    table = type("BenchRecord", (models.Model,), {**texts, **columns, "Meta": meta, "__module__": __name__})
    with connection.schema_editor() as editor:
        editor.create_model(table)
    yield table
