"""A change of what a route keeps, made by hand in the back office: a row of the audit trail, and no new revision of routes."""

from typing import Any

from django.db import transaction

from routing import audit
from routing.audit import Cause, Subject
from routing.models import RouteChange


def record_stored_change(
    action: str, subject: Subject, cause: Cause, *, before: dict[str, Any] | None = None, after: Any = None
) -> RouteChange:
    """Append the row. Write it before the store is asked: what cannot be recorded is then not done."""
    with transaction.atomic():
        state = audit.lock()
        return audit.record(state, action, subject, cause, before=before, after=after, moves_snapshot=False)
