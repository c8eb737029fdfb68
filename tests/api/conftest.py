"""Two tenants with filesystem routes, whose streams are followed in-process."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from django.db import connections

from northstar.context import RequestContext
from northstar.modes import LAB
from routing.changes import create_tenant
from routing.models import Tenant
from storage.api import sse
from storage.kinds.events import NewEvent
from storage.opening import open_store
from tests.conftest import CAUSE, filesystem_routes, token


@dataclass
class Follower:
    """A tenant with its key and its streams."""

    tenant: Tenant
    token: str

    @property
    def streams(self) -> Any:
        return open_store("event_stream", RequestContext(self.tenant.pk, "dev", "lab"))

    def append(self, count: int = 1, stream_id: str = "orders", start: int = 1) -> None:
        """Append numbered events, as another request of this process would."""
        try:
            for first in range(start, start + count, 20):
                events = [NewEvent("counted", {"n": n}) for n in range(first, min(first + 20, start + count))]
                self.streams.append(stream_id, events)
        finally:
            connections.close_all()


@pytest.fixture
def followers(own_database, settings) -> Iterator[Callable[[str], Follower]]:
    settings.NORTHSTAR_SSE_POLL_SECONDS = 0.05

    def make(tenant_id: str) -> Follower:
        tenant = create_tenant(tenant_id, tenant_id.title(), LAB, CAUSE)
        filesystem_routes(tenant)
        return Follower(tenant, token(tenant))

    yield make
    sse._hub = None


@pytest.fixture
def acme_follower(followers: Callable[[str], Follower]) -> Follower:
    return followers("acme")


@pytest.fixture
def globex_follower(followers: Callable[[str], Follower]) -> Follower:
    return followers("globex")
