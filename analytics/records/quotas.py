"""The budget gate: a record counts 1 of `analytics` `records` where such a budget is set, and whatever it says that it used."""

from collections.abc import Iterator, Sequence

from analytics.records.drafts import Draft
from northstar.context import RequestContext
from northstar.errors import NorthstarError
from storage.kinds.analytics_store import AnalyticsStore

PROVIDER = "analytics"
METRIC = "records"


def refused_by_budgets(
    context: RequestContext,
    drafts: Sequence[Draft],
    store: AnalyticsStore,  # noqa: ARG001 - until budgets have landed
) -> Iterator[tuple[Draft, NorthstarError]]:
    """Count the drafts, and yield those that a hard limit refuses, with its error. What is stored already counts no more."""
    yield from ()
