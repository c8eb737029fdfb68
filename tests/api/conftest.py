"""Two tenants with filesystem routes, whose streams are followed in-process."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection, connections

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


@contextmanager
def default_database(path: Path) -> Iterator[None]:
    """Let Django's connections, of every thread, lead to this file."""
    usual = connection.settings_dict["NAME"]
    connections.close_all()
    connection.settings_dict["NAME"] = str(path)
    try:
        yield
    finally:
        connections.close_all()
        connection.settings_dict["NAME"] = usual


@pytest.fixture(scope="session")
def migrated_database(django_db_blocker, tmp_path_factory) -> Path:
    path: Path = tmp_path_factory.mktemp("database") / "migrated.sqlite3"
    with django_db_blocker.unblock(), default_database(path):
        call_command("migrate", verbosity=0)
    return path


@pytest.fixture
def own_database(migrated_database, django_db_blocker, tmp_path) -> Iterator[None]:
    """A database for this test alone: what it writes is committed, so other threads see it.

    pytest-django's transactional tests empty the tables at the end, which the audit trail's triggers refuse.
    """
    path = tmp_path / "northstar.sqlite3"
    shutil.copy(migrated_database, path)
    with django_db_blocker.unblock(), default_database(path):
        yield


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
