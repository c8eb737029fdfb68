"""The budget gate: a record counts 1 of `analytics` `records` where such a budget is set, and whatever it says that it used."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Final

from analytics.budgets.counting import Usage, record_usage, record_usages
from analytics.budgets.errors import BudgetExceeded, BudgetThrottled
from analytics.budgets.plans import plan_usage
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
    for place, draft in enumerate(drafts):
        usage = draft.row.get("usage")
        error = _by_usage(submission.context, draft, usage) if usage and place not in refused else None
        if error:
            yield draft, error


def _by_number(
    submission: Submission, drafts: Sequence[Draft], store: AnalyticsStore
) -> Iterator[tuple[int, NorthstarError]]:
    """What an earlier try of this submission has stored is counted with the others: so they are the same batch again."""
    context = submission.context
    if not drafts or plan_usage(context, PROVIDER, METRIC, 1, budgeted_only=True) is None:
        return
    known = store.holders([draft.claim for draft in drafts])
    firsts: dict[str, int] = {}
    for place, draft in enumerate(drafts):
        holder = known.get(draft.claim)
        if holder is None or holder.token == submission.token:
            firsts.setdefault(draft.claim, place)
    windows: dict[_Windows, list[int]] = {}
    for place in firsts.values():
        try:
            windows.setdefault(_windows(context, drafts[place]), []).append(place)
        except InvalidRequest as error:  # too long ago, or ahead
            yield place, error
    for places in windows.values():
        yield from _beyond(context, drafts, places)


def _windows(context: RequestContext, draft: Draft) -> _Windows:
    """The counters that the draft counts in: of what one of them has no room for, another may take all."""
    plan = plan_usage(context, PROVIDER, METRIC, 1, at=_instant(draft), budgeted_only=True)
    return tuple(share.place_key for share in plan.shares) if plan else ()


def _beyond(
    context: RequestContext, drafts: Sequence[Draft], places: list[int]
) -> Iterator[tuple[int, NorthstarError]]:
    """Count as many as there is room for, and yield the others."""
    usages = [Usage(1, drafts[place].claim, _instant(drafts[place])) for place in places]
    try:
        record_usages(context, PROVIDER, METRIC, usages)
    except (BudgetExceeded, BudgetThrottled) as error:
        counted = record_usages(context, PROVIDER, METRIC, usages, partial=True)
        yield from ((place, error) for place in places[counted:])


def _by_usage(context: RequestContext, draft: Draft, usage: dict[str, str]) -> NorthstarError | None:
    """Count what the record says that it used, once per analytics_id: whoever says something else under it is a conflict."""
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
