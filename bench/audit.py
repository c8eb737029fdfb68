"""Verifying the audit trail row by row, against only reading its rows."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final

from bench.harness import Bar, Plan, Result, Side, Size, compare, timed
from bench.home import TENANT, Home
from routing import audit
from routing.audit import row_hash
from routing.chain import PAGE, verify_chain
from routing.models import RouteChange, SnapshotRevision

ROWS: Final = {Size.SMOKE: 500, Size.QUICK: 100_000, Size.FULL: 100_000}
PLANS: Final = {Size.SMOKE: Plan(2, 1), Size.QUICK: Plan(2, 1, 0), Size.FULL: Plan(5, 1, 1)}
MOST_SECONDS: Final = 10.0
"""Issue 5: verifying 100,000 rows takes seconds."""


def run(_home: Home, size: Size) -> list[Result]:
    _fill(ROWS[size])
    ours, base = Side("verify_chain", timed(_verify)), Side("read the rows", timed(_read))
    result = compare("verify trail / read it", ours, base, PLANS[size])
    return [replace(result, bar=Bar("100,000 rows < 10 s", result.ours.median < MOST_SECONDS))]


def _verify() -> None:
    status = verify_chain()
    assert status.ok, status.reason


def _read() -> None:
    last = 0
    rows = RouteChange.objects.order_by("id").values_list("id", "hash", *audit.HASHED)
    while page := list(rows.filter(id__gt=last)[:PAGE]):
        last = page[-1][0]


def _fill(rows: int) -> None:
    """Let the trail have so many rows, each like that of a change of a route."""
    state = audit.current()
    RouteChange.objects.bulk_create(_chained(state, rows - state.audit_rows), batch_size=1000)
    state.save()


def _chained(state: SnapshotRevision, rows: int) -> Iterator[RouteChange]:
    like = RouteChange.objects.filter(action="ROUTE_CREATED").latest("id")
    for _ in range(rows):
        row = RouteChange(
            pk=state.audit_rows + 1,
            at=datetime.now(UTC),
            actor="command:bench",
            action=like.action,
            subject=like.subject,
            tenant_id=TENANT,
            before=like.after,
            after=like.after,
            previous_hash=state.audit_head,
        )
        row.hash = row_hash(row)
        state.audit_rows, state.audit_head = row.pk, row.hash
        yield row
