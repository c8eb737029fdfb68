"""Where a seed goes: where the tenant's route leads, or for one run to a DynamoDB at an address of its own."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlsplit

from northstar.config_options import config_of
from northstar.context import RequestContext
from northstar.errors import NotFound
from routing.configs import parse_config
from routing.preparation import prepare_routes
from routing.resolve import resolve, snapshot
from storage.guard import Caller, ServedBy
from storage.keys import Scope
from storage.kinds.rules_store import RulesStore
from storage.opening import adapter_for, open_store, store_over

KIND: Final = "rules_store"
BACKEND: Final = "dynamodb"
ACTOR: Final = "command:seed_rules"
USUAL_REGION: Final = "us-east-1"
_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_OWN_CREDENTIALS: Final = ("AWS_ACCESS_KEY_ID", "AWS_PROFILE")
_NO_ROUTE: Final = ServedBy(0, 0, BACKEND)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A DynamoDB at an address, and further fields of its config, which may hold secrets."""

    url: str
    table_suffix: str = ""
    options: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def config(self) -> dict[str, Any]:
        """The config that a route would have. An emulator on this machine takes any region and any key."""
        given: dict[str, Any] = {"endpoint": self.url, "table_per_collection": True, "table_suffix": self.table_suffix}
        if urlsplit(self.url).hostname in _LOOPBACK:
            given["region"] = USUAL_REGION
            if not any(name in os.environ for name in _OWN_CREDENTIALS):
                given |= {"access_key_id": "local", "secret_access_key": "local"}
        return given | config_of(KIND, BACKEND, self.options)


def context_of(tenant: str, env: str) -> RequestContext:
    """Return the context of a seed. Raises NotFound for a tenant that there is not."""
    mode = snapshot().modes.get(tenant)
    if mode is None:
        raise NotFound(
            f"There is no tenant {tenant}.", fix="Create it with `tenant create`, or run `quickstart` in a lab."
        )
    return RequestContext(tenant_id=tenant, env=env, mode=mode, actor=ACTOR)


def routed_store(context: RequestContext, *, prepare: bool) -> RulesStore:
    """Return the store that the route leads to, after preparing what it needs.

    Raises as `open_store`, and what preparing raises.
    """
    resolve(KIND, context)
    if prepare:
        for preparation in prepare_routes(tenant=context.tenant_id, env=context.env, kind=KIND):
            if preparation.error:
                raise preparation.error
    store: RulesStore = open_store(KIND, context)
    return store


def store_at(endpoint: Endpoint, context: RequestContext, *, prepare: bool) -> RulesStore:
    """Return a store over the eight tables at an address, after making those that are missing.

    Raises InvalidConfig or ForbiddenEndpoint, as for a route, and what preparing raises.
    """
    config = parse_config(KIND, BACKEND, endpoint.config)
    adapter = adapter_for(KIND, BACKEND, config, mode=context.mode)
    if prepare:
        caller = Caller(KIND, _NO_ROUTE, Scope.of(context), adapter.secrets)
        caller.run("prepare", adapter.driver.prepare, repeatable=True)
    store: RulesStore = store_over(KIND, context, adapter, _NO_ROUTE)
    return store
