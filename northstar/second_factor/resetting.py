"""Take a person's second factors away, or seal them anew: for commands, when a device is lost or a key is rotated."""

from typing import Any, Final

from allauth.mfa.models import Authenticator
from django.contrib.sessions.models import Session
from django.db import transaction

from northstar.second_factor.adapters import SCOPE
from northstar.second_factor.trail import SECOND_FACTOR_REMOVED, record
from routing.audit import Cause
from routing.sealing import is_current, reseal

SEALED: Final = ("secret", "seed")
"""Which of an authenticator's data are sealed."""


def reset_factors(user: Any, cause: Cause) -> int:
    """Remove all factors of a person, who enrols anew at the next login, and end their sessions; return how many there were."""
    with transaction.atomic():
        factors = list(Authenticator.objects.filter(user=user))
        for factor in factors:
            record(SECOND_FACTOR_REMOVED, user, factor.type, cause)
            factor.delete()
        _end_sessions(user)
    return len(factors)


def reseal_factors() -> int:
    """Seal all authenticators' secrets with the current key of the ring, and return how many had another."""
    outdated = outdated_factors()
    for factor in outdated:
        factor.data |= {name: reseal(text, SCOPE) for name, text in _sealed(factor).items()}
        factor.save(update_fields=["data"])
    return len(outdated)


def outdated_factors() -> list[Authenticator]:
    """Return the authenticators that are sealed with another key than the current one."""
    return [factor for factor in Authenticator.objects.all() if not all(map(is_current, _sealed(factor).values()))]


def _sealed(factor: Authenticator) -> dict[str, str]:
    return {name: factor.data[name] for name in SEALED if name in factor.data}


def _end_sessions(user: Any) -> None:
    for session in Session.objects.iterator():
        if session.get_decoded().get("_auth_user_id") == str(user.pk):
            session.delete()
