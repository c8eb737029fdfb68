"""Refused attempts to change the control plane, in the audit trail: who tried what, and what the answer was.

A flood of refusals cannot fill the database: the same attempt is recorded once in ten minutes, and an actor ten times.
What is left out stands in the log and in the metrics.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

import structlog
from django.db import Error as DatabaseFailure
from django.db import transaction
from django.db.models import QuerySet

from northstar.errors import Forbidden, ForbiddenEndpoint, NorthstarError, NotFound, StrategyLocked
from northstar.logs import redact_text
from routing import audit
from routing.audit import Cause, Subject
from routing.models import RouteChange

ACCESS_DENIED: Final = "ACCESS_DENIED"
DENIALS: Final = (Forbidden, ForbiddenEndpoint, NotFound, StrategyLocked)
"""What counts. NotFound does, whether the thing exists or not: it may be another tenant's, and the answer must not tell."""

SUBJECT_LENGTH: Final = 200
WINDOW: Final = timedelta(minutes=10)
PER_ACTOR: Final = 10
"""Rows of one actor in one window at most."""
LAST: Final = "More of this actor's attempts within ten minutes are only logged."

_log = structlog.get_logger("northstar.denials")


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """What somebody tried. `what` is the call or the page, `subject` the thing, both as far as they are known."""

    actor: str
    what: str
    subject: str
    tenant_id: str = ""
    env: str = ""
    request_id: str = ""


def record_denial(attempt: Attempt, error: NorthstarError) -> None:
    """Record the attempt where `error` is a denial and there is room for it. Never raises for a database that is away."""
    if not isinstance(error, DENIALS):
        return
    _log.info("access_denied", actor=attempt.actor, attempt=attempt.what, subject=attempt.subject, code=error.code)
    try:
        if _has_room(attempt, error):
            _record(attempt, error)
    except DatabaseFailure as failure:  # the refusal stands, recorded or not
        _log.warning("denial_not_recorded", error=type(failure).__name__)


def _record(attempt: Attempt, error: NorthstarError) -> None:
    with transaction.atomic():
        state = audit.lock()
        if not _has_room(attempt, error):  # somebody was faster
            return
        left = PER_ACTOR - _recent(attempt.actor).count()
        detail = redact_text(error.detail)
        audit.record(
            state,
            ACCESS_DENIED,
            Subject(attempt.subject[:SUBJECT_LENGTH], tenant_id=attempt.tenant_id, env=attempt.env),
            Cause(attempt.actor, request_id=attempt.request_id),
            after={
                "attempt": attempt.what,
                "error_code": error.code,
                "detail": detail if left > 1 else f"{detail} {LAST}",
            },
            moves_snapshot=False,
        )


def _has_room(attempt: Attempt, error: NorthstarError) -> bool:
    recent = _recent(attempt.actor)
    same = recent.filter(
        subject=attempt.subject[:SUBJECT_LENGTH], after__attempt=attempt.what, after__error_code=error.code
    )
    return recent.count() < PER_ACTOR and not same.exists()


def _recent(actor: str) -> QuerySet[RouteChange]:
    return RouteChange.objects.filter(actor=actor, action=ACCESS_DENIED, at__gt=datetime.now(UTC) - WINDOW)
