"""Seal all secrets of routes and second factors with the current encryption key, so that an older one can leave the ring."""

from argparse import ArgumentParser
from typing import Any, Final

from django.core.management.base import BaseCommand

from northstar.console import refused
from northstar.errors import NorthstarError
from northstar.second_factor.resetting import outdated_factors, reseal_factors
from routing.changes import Cause, reseal_routes
from routing.models import Route
from routing.sealing import is_current

CAUSE: Final = Cause("command:reseal_secrets")


class Command(BaseCommand):
    help = (
        "Seal the secrets of all routes and second factors with the first key of NORTHSTAR_ENCRYPTION_KEYS. "
        "Running it again changes nothing."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="Only say how many routes would be sealed again.")

    def handle(self, *_args: Any, **options: Any) -> None:
        if options["dry_run"]:
            sealed = Route.objects.exclude(sealed_secrets="").values_list("sealed_secrets", flat=True)
            routes, factors = sum(not is_current(text) for text in sealed), len(outdated_factors())
            self.stdout.write(f"{routes} routes and {factors} second factors would be sealed again.")
            return
        try:
            routes, factors = reseal_routes(CAUSE), reseal_factors()
            self.stdout.write(f"{routes} routes and {factors} second factors were sealed again.")
        except NorthstarError as error:
            raise refused(error) from None
