"""The counters of a tenant's environment: what the store has counted, and what waits in this machine's spool."""

from datetime import datetime

from analytics.records import spool
from analytics.records.checking import Tally
from northstar.context import RequestContext
from storage.kinds.analytics_store import AnalyticsStore


def tally_of(context: RequestContext, store: AnalyticsStore, start: datetime, end: datetime) -> Tally:
    """Return the counters of the whole hours that the range touches."""
    return Tally(dict(store.tally(start, end)), spool.waiting(context.tenant_id, context.env, context.project_id))
