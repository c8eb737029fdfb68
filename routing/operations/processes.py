"""Which server processes there are, which snapshot revision each has, and since when: each says so of itself at intervals."""

import os
import secrets
import socket
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from django.conf import settings

from routing.health_models import ServerProcess
from routing.resolve import snapshot
from routing.snapshot import cache

LOST_AFTER_INTERVALS: Final = 4
"""A process that has not been heard of for so many intervals is taken for dead."""
FORGOTTEN_AFTER: Final = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Identity:
    """Who this process is: `name` is unique, and says on which machine it runs and its number there."""

    name: str
    pid: int
    started_at: datetime


_identity: Identity | None = None


def this_process() -> Identity:
    """Return who this process is; a forked child is another one."""
    global _identity  # noqa: PLW0603 - made once per process
    if _identity is None or _identity.pid != os.getpid():
        pid = os.getpid()
        _identity = Identity(f"{socket.gethostname()}:{pid}:{secrets.token_hex(4)}", pid, datetime.now(UTC))
    return _identity


def report_process(role: str) -> None:
    """Say that this process is there, and which revision its snapshot has; bring the snapshot up to date before."""
    now, me = datetime.now(UTC), this_process()
    revision = snapshot().revision
    values = {
        "role": role,
        "started_at": me.started_at,
        "revision": revision,
        "revision_since": cache.since,
        "seen_at": now,
    }
    ServerProcess.objects.update_or_create(name=me.name, defaults=values)
    ServerProcess.objects.filter(seen_at__lt=now - FORGOTTEN_AFTER).delete()


def withdraw_process() -> None:
    """Say that this process ends."""
    ServerProcess.objects.filter(pk=this_process().name).delete()


def server_processes() -> list[ServerProcess]:
    """Return the processes that were heard of lately, by name."""
    heard_since = datetime.now(UTC) - timedelta(seconds=settings.NORTHSTAR_REPORT_SECONDS * LOST_AFTER_INTERVALS)
    return list(ServerProcess.objects.filter(seen_at__gte=heard_since).order_by("name"))
