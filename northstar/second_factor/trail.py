"""What becomes of people's second factors, in the audit trail; and the session in which one was enrolled has proven it."""

from typing import Any, Final

from allauth.account.internal.flows.login import record_authentication
from allauth.mfa.models import Authenticator
from allauth.mfa.signals import authenticator_added, authenticator_removed, authenticator_reset
from django.db import transaction
from django.dispatch import receiver
from django.http import HttpRequest

from northstar.headers import request_id
from northstar.second_factor.rule import PROOF
from routing import audit
from routing.audit import Cause, Subject

SECOND_FACTOR_ADDED: Final = "SECOND_FACTOR_ADDED"
SECOND_FACTOR_REMOVED: Final = "SECOND_FACTOR_REMOVED"
SECOND_FACTOR_RENEWED: Final = "SECOND_FACTOR_RENEWED"


@receiver(authenticator_added)
def _added(request: HttpRequest, user: Any, authenticator: Authenticator, **_signal: Any) -> None:
    if authenticator.type == Authenticator.Type.TOTP:
        record_authentication(request, user, PROOF, id=authenticator.pk, type=authenticator.type, reauthenticated=True)
    record(SECOND_FACTOR_ADDED, user, authenticator.type, cause_of(request))


@receiver(authenticator_removed)
def _removed(request: HttpRequest, user: Any, authenticator: Authenticator, **_signal: Any) -> None:
    record(SECOND_FACTOR_REMOVED, user, authenticator.type, cause_of(request))


@receiver(authenticator_reset)
def _renewed(request: HttpRequest, user: Any, authenticator: Authenticator, **_signal: Any) -> None:
    record(SECOND_FACTOR_RENEWED, user, authenticator.type, cause_of(request))


def cause_of(request: HttpRequest) -> Cause:
    """Who works in the back office."""
    return Cause(f"user:{request.user.get_username()}", request_id=request_id(request.META.get("HTTP_X_REQUEST_ID")))


def record(action: str, user: Any, factor: str, cause: Cause) -> None:
    """Write one row about a person's factor. No route changes by it, so no snapshot moves."""
    with transaction.atomic():
        state = audit.lock()
        subject = Subject(f"user:{user.get_username()}"[:200])
        audit.record(state, action, subject, cause, after={"factor": str(factor)}, moves_snapshot=False)
