"""Who has a second factor, and a way back in for whoever has lost device and recovery codes."""

from argparse import ArgumentParser
from typing import Any, Final

from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand, CommandError

from northstar.console import BAD, GOOD, Out
from northstar.second_factor.resetting import reset_factors
from northstar.second_factor.rule import has_factor
from routing.audit import Cause

ACTOR: Final = "command:second_factor"


class Command(BaseCommand):
    help = "List who of the staff has a second factor, or reset somebody's."

    def add_arguments(self, parser: ArgumentParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True)
        actions.add_parser("list", help="Say of everybody who may log in whether they have enrolled.")
        reset = actions.add_parser(
            "reset", help="Remove all factors of a user and end their sessions; they enrol anew."
        )
        reset.add_argument("username")
        reset.add_argument(
            "--reason", required=True, help="Why, and how you know that it is them; kept in the audit trail."
        )

    def handle(self, *_args: Any, **options: Any) -> None:
        if options["action"] == "list":
            self._list()
        else:
            self._reset(options["username"], options["reason"])

    def _list(self) -> None:
        staff = list(get_user_model().objects.filter(is_staff=True, is_active=True).order_by("username"))
        enrolled = [has_factor(user) for user in staff]
        rows = [(user.get_username(), "enrolled" if has else "none") for user, has in zip(staff, enrolled, strict=True)]
        Out(self.stdout).table(("User", "Second factor"), rows, [GOOD if has else BAD for has in enrolled])

    def _reset(self, username: str, reason: str) -> None:
        user = get_user_model().objects.filter(username=username).first()
        if user is None:
            raise CommandError(f"There is no user {username}.")
        count = reset_factors(user, Cause(ACTOR, rationale=reason))
        self.stdout.write(f"{count} factors of {username} were removed, and their sessions ended.")
