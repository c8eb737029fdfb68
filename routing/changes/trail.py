"""The audit trail goes on after rows that another database had: its numbering skips what is lost, and says so."""

from typing import Final

from django.db import transaction

from northstar.errors import Conflict
from routing import audit
from routing.audit import Cause, Subject
from routing.models import RouteChange
from storage.kinds.routing_registry_store import Resumption

TRAIL_RESUMED: Final = "TRAIL_RESUMED"


def resume_trail(resumption: Resumption, cause: Cause) -> RouteChange:
    """Record that the next row comes after `resumption.number`. Its numbers are then greater than any that were mirrored.

    Raises Conflict when the trail is not the one that the resumption was made for any more.
    """
    with transaction.atomic():
        state = audit.lock()
        kept = (resumption.kept.number, resumption.kept.hash) if resumption.kept else (0, "")
        if (state.audit_rows, state.audit_head) != kept:
            raise Conflict("Something was changed here meanwhile.", fix="Run the command again.")
        state.audit_rows = resumption.number
        after = {"number": resumption.number, "kept": kept[0]}
        return audit.record(state, TRAIL_RESUMED, Subject("trail"), cause, after=after)


def is_resumed(resumption: Resumption) -> bool:
    """Whether this database's trail went on as the resumption says."""
    row = RouteChange.objects.filter(pk=resumption.number + 1, action=TRAIL_RESUMED).first()
    return row is not None and row.after == {
        "number": resumption.number,
        "kept": resumption.kept.number if resumption.kept else 0,
    }
