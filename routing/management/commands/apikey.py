"""Issue, revoke and list API keys. A token is printed once, by the run that issues it."""

import json
from argparse import ArgumentParser
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from django.core.management.base import BaseCommand, CommandError

from northstar.console import Out, refused
from northstar.errors import NorthstarError
from routing.audit import timestamp
from routing.changes import Cause
from routing.keys import SCOPES, is_active, issue_key, revoke_key
from routing.models import ApiKey

CAUSE: Final = Cause("command:apikey")
DEFAULT_SCOPES: Final = ("data:read", "data:write")
MOST_DAYS: Final = 3650


class Command(BaseCommand):
    help = "Issue, revoke and list API keys."

    def add_arguments(self, parser: ArgumentParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True)
        create = actions.add_parser("create", help="Issue a key and print its token, once.")
        create.add_argument("--tenant", required=True, help="Whose key it is, such as t_demo.")
        create.add_argument("--label", default="", help="What uses the key.")
        create.add_argument(
            "--scope",
            action="append",
            choices=SCOPES,
            metavar="SCOPE",
            help=f"May be repeated. Default: {' and '.join(DEFAULT_SCOPES)}. One of: {', '.join(SCOPES)}.",
        )
        create.add_argument("--env", action="append", default=[], help="May be repeated. Default: every environment.")
        create.add_argument("--expires-days", type=int, help="Days until the key expires. Default: never.")
        revoke = actions.add_parser("revoke", help="End a key at once and for ever.")
        revoke.add_argument("key_id", help="The twelve characters after ns_, or the token's beginning ns_<id>.")
        listing = actions.add_parser("list", help="List the keys, without their secrets.")
        listing.add_argument("--tenant", help="Of this tenant only.")
        for action in (create, revoke, listing):
            action.add_argument("--format", choices=["text", "json"], default="text")

    def handle(self, *_args: Any, **options: Any) -> None:
        actions = {"create": self._create, "revoke": self._revoke, "list": self._list}
        try:
            actions[options["action"]](options)
        except NorthstarError as error:
            raise refused(error) from None

    def _create(self, options: dict[str, Any]) -> None:
        key, token = issue_key(
            options["tenant"],
            options["label"] or f"issued by command on {datetime.now(UTC):%Y-%m-%d}",
            options["scope"] or DEFAULT_SCOPES,
            envs=options["env"],
            expires_at=_expiry(options["expires_days"]),
            cause=CAUSE,
        )
        if options["format"] == "json":
            self.stdout.write(json.dumps({**_public(key), "token": token}, indent=2))
            return
        self.stdout.write(token)
        self.stderr.write(f"Key {key.key_id} of {key.tenant_id}. The token is not kept: store it now.")

    def _revoke(self, options: dict[str, Any]) -> None:
        key = revoke_key(_key_id(options["key_id"]), CAUSE)
        if options["format"] == "json":
            self.stdout.write(json.dumps(_public(key), indent=2))
        else:
            self.stdout.write(f"Key {key.key_id} of {key.tenant_id} is revoked since {timestamp(key.revoked_at)}.")

    def _list(self, options: dict[str, Any]) -> None:
        found = ApiKey.objects.order_by("tenant_id", "created_at")
        keys = [_public(key) for key in (found.filter(tenant=options["tenant"]) if options["tenant"] else found)]
        if options["format"] == "json":
            self.stdout.write(json.dumps(keys, indent=2))
            return
        columns = ("key_id", "tenant_id", "state", "label", "scopes", "envs", "expires_at", "last_used_at")
        Out(self.stdout).table(columns, [[_cell(key[column]) for column in columns] for key in keys])


def _expiry(days: int | None) -> datetime | None:
    if days is None:
        return None
    if not 1 <= days <= MOST_DAYS:
        raise CommandError(f"--expires-days is {days}; 1 to {MOST_DAYS} are allowed.")
    return datetime.now(UTC) + timedelta(days=days)


def _key_id(given: str) -> str:
    """Return the id in an id or in a token, so that a pasted token is never looked up (and repeated) whole."""
    return given.removeprefix("ns_").partition("_")[0]


def _public(key: ApiKey) -> dict[str, Any]:
    return {
        "key_id": key.key_id,
        "tenant_id": key.tenant_id,
        "state": "active" if is_active(key) else "revoked" if key.revoked_at else "expired",
        "label": key.label,
        "scopes": key.scopes,
        "envs": key.envs,
        "created_at": timestamp(key.created_at),
        "created_by": key.created_by,
        "expires_at": timestamp(key.expires_at),
        "revoked_at": timestamp(key.revoked_at),
        "last_used_at": timestamp(key.last_used_at),
    }


def _cell(value: Any) -> str:
    return " ".join(value) or "all" if isinstance(value, list) else str(value or "-")
