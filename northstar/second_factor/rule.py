"""Who must have proven a second factor, and whether this session has."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any, Final, TypeVar
from urllib.parse import urlencode

from allauth.account.decorators import reauthentication_required
from allauth.account.internal.flows.login import get_authentication_records
from allauth.mfa.models import Authenticator
from allauth.mfa.utils import is_mfa_enabled
from django.conf import settings
from django.http import HttpRequest
from django.urls import reverse

from routing.models import LAB_DEPLOYMENT

PROOF: Final = "mfa"
FRESH: Final = timedelta(minutes=5)
"""How long a person who has just confirmed is not asked again."""
View = TypeVar("View", bound=Callable[..., Any])


def is_required() -> bool:
    """Whether the rule holds: in every deployment but a lab."""
    return bool(settings.NORTHSTAR_DEPLOYMENT != LAB_DEPLOYMENT)


def has_factor(user: Any) -> bool:
    """Whether a person has enrolled an authenticator."""
    return bool(is_mfa_enabled(user, [Authenticator.Type.TOTP]))


def is_satisfied(request: HttpRequest) -> bool:
    """Whether this session may go on: the rule does not hold, or its person has proven the second factor in it."""
    if not is_required():
        return True
    records = get_authentication_records(request, request.user)
    return has_factor(request.user) and any(record.get("method") == PROOF for record in records)


def next_step(request: HttpRequest) -> str:
    """Return the page of a person who is not let in yet: to prove the factor, or to enrol one."""
    if not has_factor(request.user):
        return reverse("mfa_activate_totp")
    return f"{reverse('mfa_reauthenticate')}?{urlencode({'next': reverse('admin:index')})}"


def fresh_proof_required(view: View) -> View:
    """Ask for the factor (in a lab for nothing) before a view that matters, unless it was confirmed within FRESH."""
    guarded: View = reauthentication_required(view, enabled=lambda _request: is_required())
    return guarded
