"""Whether a strategy lock holds ingestion: only one that says so does, since a lock is about where data lies, not about new data."""

from northstar.context import RequestContext
from northstar.errors import StrategyLocked


def held_ingest(context: RequestContext) -> StrategyLocked | None:
    """Return why no record may be taken in for the context's tenant and environment now, or None.

    The answer is as fresh as the process's view of the routes; it costs no query.
    """
    return None
