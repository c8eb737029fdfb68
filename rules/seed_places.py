"""Where a seed goes: where the tenant's route leads, or for one run to a DynamoDB at an address of its own."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from northstar.config_options import config_of
from northstar.context import RequestContext
from northstar.errors import NotFound
from routing.configs import parse_config
from routing.preparation import prepare_routes
from routing.resolve import snapshot
from storage.guard import Caller, ServedBy
from storage.keys import Scope
from storage.kinds.rules_store import RulesStore
from storage.opening import adapter_for, open_store, store_over

KIND: Final = "rules_store"
BACKEND: Final = "dynamodb"
DEFAULT_REGION: Final = "us-east-1"
"""Of an address that a command names: an emulator takes any."""
ACTOR: Final = "command:seed_rules"
NO_ROUTE: Final = ServedBy(0, 0, BACKEND)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A DynamoDB at an address, with the other fields of its config, which may hold secrets."""

    url: str
    table_suffix: str = ""
    options: Mapping[str, str] = field(default_factory=dict, repr=False)

    def config(self) -> dict[str, Any]:
        """Return the config as a route would have it."""
        given = {"region": DEFAULT_REGION, "endpoint": self.url} | config_of(KIND, BACKEND, self.options)
        return given | ({"table_suffix": self.table_suffix} if self.table_suffix else {})


def context_of(tenant: str, env: str) -> RequestContext:
    """Return the context of a seed. Raises NotFound for a tenant that there is not."""
    mode = snapshot().modes.get(tenant)
    if mode is None:
        raise NotFound(f"There is no tenant {tenant}.", fix="Create it with `tenant create`, or run `quickstart` in a lab.")
    return RequestContext(tenant_id=tenant, env=env, mode=mode, actor=ACTOR)
