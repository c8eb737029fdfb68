"""The budget gate: a record counts 1 of `analytics` `records` where such a budget is set, and whatever it says that it used."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Final

from analytics.budgets.counting import Usage, record_usage, record_usages
from analytics.budgets.errors import BudgetExceeded, BudgetThrottled
from analytics.budgets.plans import plan_usage
from analytics.records.drafts import Draft
from northstar.context import RequestContext
from northstar.errors import InvalidRequest, NorthstarError
from storage.kinds.analytics_store import AnalyticsStore

PROVIDER: Final = "analytics"
METRIC: Final = "records"
Refused = tuple[Draft, NorthstarError]


def refused_by_budgets(context: RequestContext, drafts: Sequence[Draft], store: AnalyticsStore) -> Iterator[Refused]:
    """Count the drafts, and yield those that a hard limit refuses, with its error. What is stored already counts no more.

    Without such a budget nothing is asked of any store.
    """
    refused = dict(_by_number(context, drafts, store))
    yield from ((drafts[place], error) for place, error in refused.items())
    for place, draft in enumerate(drafts):
        usage = draft.row.get("usage")
        error = _by_usage(context, draft, usage) if usage and place not in refused else None
        if error:
            yield draft, error


def _by_number(
    context: RequestContext, drafts: Sequence[Draft], store: AnalyticsStore
) -> Iterator[tuple[int, NorthstarError]]:
    if not drafts or plan_usage(context, PROVIDER, METRIC, 1, budgeted_only=True) is None:
        return
    known = store.holders([draft.claim for draft in drafts])
    firsts: dict[str, int] = {}
    for place, draft in enumerate(drafts):
        if draft.claim not in known:
            firsts.setdefault(draft.claim, place)
    places = list(firsts.values())
    usages = [Usage(1, drafts[place].claim, _instant(drafts[place])) for place in places]
    try:
        record_usages(context, PROVIDER, METRIC, usages)
    except (BudgetExceeded, BudgetThrottled) as error:
        counted = record_usages(context, PROVIDER, METRIC, usages, partial=True)
        yield from ((place, error) for place in places[counted:])


def _by_usage(context: RequestContext, draft: Draft, usage: dict[str, str]) -> NorthstarError | None:
    """Count what the record says that it used, once per analytics_id."""
    key = f"record-{draft.analytics_id}"
    try:
        record_usage(context, usage["provider"], usage["metric"], usage["amount"], key=key, at=_instant(draft))
    except (BudgetExceeded, BudgetThrottled, InvalidRequest) as error:
        return error
    return None


def _instant(draft: Draft) -> datetime:
    return datetime.fromisoformat(draft.row["corrected_at"])
