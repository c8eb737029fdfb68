"""Whether a strategy lock holds ingestion: only one that says so does, since a lock is about where data lies."""

from northstar.context import RequestContext
from northstar.errors import StrategyLocked
from routing.audit import timestamp
from routing.changes.lock_reach import is_active, lock_summary
from routing.changes.locks import INGESTING_KIND
from routing.resolve import resolve, snapshot


def held_ingest(context: RequestContext) -> StrategyLocked | None:
    """Return why no record may be taken in for the context now, or None. It costs no query, and is as fresh as the routes are.

    A lock on a route holds what that route serves. Raises as `resolve`.
    """
    holds = snapshot().holds.get((context.tenant_id, context.env), ())
    if not holds:
        return None
    project = resolve(INGESTING_KIND, context).project_id
    active = [row for row in holds if is_active(row) and (not row.resource_kind or row.project_id == project)]
    if not active:
        return None
    first = active[0]
    end = f"until {timestamp(first.until)}" if first.until else "without an end"
    return StrategyLocked(
        f"Ingestion is held: lock {first.pk} of {first.owner} holds {end}. Reason: {first.reason}.",
        fix="The record was kept. Ask the owner to release the lock, or wait for its end; then it can be replayed.",
        locks=[lock_summary(row) for row in active],
    )
