"""Carrying out what waits in the spool: in the order in which it came, once, by whichever process comes first."""

from dataclasses import replace
from pathlib import Path

import structlog

from analytics.records import spool
from analytics.records.ingest import analytics_store, take_in
from northstar.errors import NorthstarError
from routing.resolve import snapshot

_log = structlog.get_logger("northstar.spool")


def drain_spool() -> int:
    """Carry out what can be carried out now, and return how many records that were.

    Of a scope whose store is still away the rest waits; so does what meets another error, and the log says which.
    """
    drained = 0
    for place, paths in spool.places_waiting():
        for path in paths:
            try:
                drained += _drain(path)
            except NorthstarError as error:
                _log.warning("spool_waits", place="/".join(place.parts[-3:]), error=error.detail)
                if error.retryable:
                    break
    return drained


def _drain(path: Path) -> int:
    with spool.taken(path) as found:
        if found is None:
            return 0
        context = found.submission.context
        mode = snapshot().modes.get(context.tenant_id, context.mode)
        submission = replace(found.submission, context=replace(context, mode=mode))
        store = analytics_store(submission.context)
        take_in(submission, found.records, found.ids, store, again=True, waited=True)
        return len(found.records)
