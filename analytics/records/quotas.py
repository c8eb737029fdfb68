"""The budget gate: a record counts 1 of `analytics` `records` where such a budget is set, and whatever it says that it used."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Final

from analytics.budgets.counting import Usage, record_usage, record_usages
from analytics.budgets.errors import BudgetExceeded, BudgetThrottled
from analytics.budgets.plans import plan_usage
from analytics.budgets.shelves import levels_of
from analytics.records.drafts import Draft, Submission
from northstar.context import RequestContext
from northstar.errors import IdempotencyMismatch, InvalidRequest, NorthstarError
from storage.errors import FloorReached
from storage.kinds.analytics_store import AnalyticsStore

PROVIDER: Final = "analytics"
METRIC: Final = "records"
Refused = tuple[Draft, NorthstarError]
_Windows = tuple[tuple[str | None, str], ...]


def refused_by_budgets(submission: Submission, drafts: Sequence[Draft], store: AnalyticsStore) -> Iterator[Refused]:
    """Count the drafts, and yield those that a hard limit refuses, with its error. What is stored already counts no more.

    Without such a budget nothing is asked of any store.
    """
    refused = dict(_by_number(submission, drafts, store))
    yield from ((drafts[place], error) for place, error in refused.items())
    using = [draft for place, draft in enumerate(drafts) if draft.row.get("usage") and place not in refused]
    known = store.holders([draft.claim for draft in using]) if using else {}
    for draft in using:
        error = None if draft.claim in known else _by_usage(submission.context, draft, draft.row["usage"])
        if error:
            yield draft, error


def _by_number(
    submission: Submission, drafts: Sequence[Draft], store: AnalyticsStore
) -> Iterator[tuple[int, NorthstarError]]:
    """What an earlier try of this submission has stored is counted with the others: so they are the same batch again."""
    context = submission.context
    if not drafts or not levels_of(context, PROVIDER, METRIC):
        return
    known = store.holders([draft.claim for draft in drafts])
    firsts: dict[str, int] = {}
    for place, draft in enumerate(drafts):
        holder = known.get(draft.claim)
        if holder is None or holder.token == submission.token:
            firsts.setdefault(draft.claim, place)
    places = list(firsts.values())
    moments = _counted_at(context, [_instant(drafts[place]) for place in places])
    windows: dict[_Windows, list[tuple[int, Usage]]] = {}
    for place, at in zip(places, moments, strict=True):
        windows.setdefault(_windows(context, at), []).append((place, Usage(1, drafts[place].claim, at)))
    for usages in windows.values():
        yield from _beyond(context, usages)


def _windows(context: RequestContext, at: datetime) -> _Windows:
    """The counters that a record of this moment counts in: of what one of them has no room for, another may take all."""
    plan = plan_usage(context, PROVIDER, METRIC, 1, at=at, budgeted_only=True)
    return tuple(share.place_key for share in plan.shares) if plan else ()


def _beyond(context: RequestContext, placed: list[tuple[int, Usage]]) -> Iterator[tuple[int, NorthstarError]]:
    """Count as many as there is room for, and yield the others."""
    usages = [usage for _, usage in placed]
    try:
        record_usages(context, PROVIDER, METRIC, usages)
    except (BudgetExceeded, BudgetThrottled) as error:
        counted = record_usages(context, PROVIDER, METRIC, usages, partial=True)
        yield from ((place, error) for place, _ in placed[counted:])


def _counted_at(context: RequestContext, moments: list[datetime]) -> list[datetime]:
    """The moments, but now for what is too late for its own window: it arrives now, and is not lost for that."""
    if not moments or _is_taken(context, min(moments)):
        return moments
    now = datetime.now(UTC)
    return [moment if _is_taken(context, moment) else now for moment in moments]


def _is_taken(context: RequestContext, moment: datetime) -> bool:
    try:
        plan_usage(context, PROVIDER, METRIC, 1, at=moment)
    except InvalidRequest:
        return False
    return True


def _by_usage(context: RequestContext, draft: Draft, usage: dict[str, str]) -> NorthstarError | None:
    """Count what the record says that it used, once per analytics_id. Said otherwise before, the store will tell the conflict."""
    key = f"record-{draft.analytics_id}"
    try:
        record_usage(context, usage["provider"], usage["metric"], usage["amount"], key=key, at=_instant(draft))
    except IdempotencyMismatch:
        return None
    except (BudgetExceeded, BudgetThrottled, FloorReached, InvalidRequest) as error:
        return error
    return None


def _instant(draft: Draft) -> datetime:
    return datetime.fromisoformat(draft.row["corrected_at"])
