"""A Northstar of its own for one run: Django set up over a temporary NORTHSTAR_HOME that is gone afterwards."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import django
from django.core.management import call_command

from northstar.context import RequestContext
from northstar.modes import LAB

SETTINGS: Final = "northstar.settings.lab"
TENANT: Final = "acme"
ENV: Final = "dev"
CONTEXT: Final = RequestContext(TENANT, ENV, LAB, actor="command:bench", request_id="bench")


@dataclass(frozen=True, slots=True)
class Home:
    """Where the run's data lie, and an API key that may read and write them."""

    folder: Path
    token: str


@contextmanager
def temporary_home() -> Iterator[Home]:
    """Give a migrated home in which tenant acme has a filesystem route for every kind. TMPDIR chooses its disk."""
    with tempfile.TemporaryDirectory(prefix="northstar-bench-") as folder:
        environment = {
            "NORTHSTAR_HOME": folder,
            "NORTHSTAR_ALLOWED_ROOTS": folder,
            "DJANGO_SETTINGS_MODULE": SETTINGS,
        }
        os.environ.update(environment)  # before Django reads them; child processes inherit them
        for name in ("DATABASE_URL", "REDIS_URL"):  # the run measures the embedded deployment, whoever starts it
            os.environ.pop(name, None)
        django.setup()
        call_command("migrate", verbosity=0)
        try:
            yield Home(Path(folder), _control_plane())
        finally:
            _close()


def _control_plane() -> str:
    from routing.changes import Cause, RouteDraft, create_route, create_tenant  # noqa: PLC0415 - needs Django to stand
    from routing.keys import issue_key  # noqa: PLC0415
    from storage.registry import KINDS  # noqa: PLC0415

    cause = Cause("command:bench")
    tenant = create_tenant(TENANT, "Acme", LAB, cause)
    for kind in KINDS:
        create_route(RouteDraft(resource_kind=kind, tenant_id=TENANT, env=ENV, backend_type="filesystem"), cause)
    _, token = issue_key(tenant, "bench", ["analytics:write", "data:read", "data:write"], cause=cause)
    return token


def _close() -> None:
    from django.db import connections  # noqa: PLC0415 - needs Django to stand

    from storage.opening import close_adapters  # noqa: PLC0415

    close_adapters()
    connections.close_all()
