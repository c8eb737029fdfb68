"""What django-allauth asks us: where secrets lie, who may confirm how, and that nobody signs up here."""

import time
from typing import Any, Final

from allauth.account.adapter import DefaultAccountAdapter
from allauth.account.internal.flows.login import get_authentication_records
from allauth.core import context
from allauth.mfa.adapter import DefaultMFAAdapter
from django.http import HttpRequest

from northstar.second_factor.rule import FRESH, has_factor
from routing.sealing import seal, unseal

SCOPE: Final = b'["allauth.mfa.Authenticator", "data"]'
_FIELD: Final = "secret"
SIGNED_IN: Final = "account/messages/logged_in.txt"


class AccountAdapter(DefaultAccountAdapter):  # type: ignore[misc]
    """Accounts are made in the admin; the pages stay quiet where the next page says it all."""

    def is_open_for_signup(self, request: HttpRequest) -> bool:  # noqa: ARG002
        return False

    def add_message(
        self, request: HttpRequest, level: int, message_template: Any = None, *args: Any, **kwargs: Any
    ) -> None:
        if message_template != SIGNED_IN:
            super().add_message(request, level, message_template, *args, **kwargs)

    def get_reauthentication_methods(self, user: Any) -> list[dict[str, Any]]:
        """Offer the factor to those who have one, and the password to the others only."""
        methods: list[dict[str, Any]] = super().get_reauthentication_methods(user)
        wanted = "mfa_reauthenticate" if user.is_authenticated and has_factor(user) else "reauthenticate"
        return [method for method in methods if method["id"] == wanted]

    def is_reauthentication_required(self, *, app: str, **kwargs: Any) -> bool:
        """Ask nobody who signed in just now for the password again, only to enrol the first factor."""
        request = context.request
        if not has_factor(request.user):
            records = get_authentication_records(request, request.user)
            if records and time.time() - records[-1]["at"] < FRESH.total_seconds():
                return False
        return bool(super().is_reauthentication_required(app=app, **kwargs))


class FactorAdapter(DefaultMFAAdapter):  # type: ignore[misc]
    """The shared secret of an authenticator lies sealed in the database, like every other."""

    def get_totp_issuer(self) -> str:
        return "Northstar"

    def encrypt(self, text: str) -> str:
        return seal({_FIELD: text}, SCOPE)

    def decrypt(self, encrypted_text: str) -> str:
        return unseal(encrypted_text, SCOPE)[_FIELD]
