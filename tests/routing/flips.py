"""One process of the propagation test: `prepare` a database, `read` routes all the time, or `flip` them.

Times are CLOCK_MONOTONIC, which all processes of a machine share.
"""

import json
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import django

django.setup()

from django.core.management import call_command  # noqa: E402

from northstar.context import RequestContext  # noqa: E402
from routing.changes import Cause, RouteDraft, create_tenant, put_route  # noqa: E402
from routing.resolve import resolve  # noqa: E402
from storage.config import reveal  # noqa: E402
from storage.registry import BACKENDS  # noqa: E402
from tests.routing.vault import BANK, VAULT, opened  # noqa: E402

BACKENDS.update(vault=VAULT, bank=BANK)
CONTEXT = RequestContext(tenant_id="acme", env="dev", mode="lab")
CAUSE = Cause(actor="command:test", rationale="to and fro")
THREADS = 4


def put(number: int) -> None:
    backend = ("vault", "bank")[number % 2]
    config = {"place": f"{backend}-{number}", "password": f"{backend}-{number}"}
    put_route(RouteDraft(resource_kind="tabular_store", tenant_id="acme", backend_type=backend, config=config), CAUSE)


def prepare() -> None:
    call_command("migrate", verbosity=0)
    create_tenant("acme", "Acme", "lab", CAUSE)
    put(0)


def flip(count: int) -> list[float]:
    """Flip, and tell when each flip was committed."""
    times = []
    for number in range(1, count + 1):
        put(number)
        times.append(time.monotonic())
        time.sleep(0.02)
    return times


def read(last: int) -> dict:
    """Look up until every thread saw the last revision: how often, when each revision was last seen, and what was mixed."""
    seen: dict[int, float] = {}
    looks, mixed = [0] * THREADS, []

    def look(thread: int) -> None:
        revision = 0
        while revision < last:
            started = time.monotonic()
            route = resolve("tabular_store", CONTEXT)
            config = opened(route)
            revision = route.revision
            seen[revision] = max(seen.get(revision, 0.0), started)
            looks[thread] += 1
            if (
                not config.place
                == (config.password and reveal(config.password))
                == f"{route.backend_type}-{revision - 1}"
            ):
                mixed.append([route.backend_type, config.place, revision])

    resolve("tabular_store", CONTEXT)
    print("ready", flush=True)
    threads = [threading.Thread(target=look, args=(number,)) for number in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return {"looks": sum(looks), "seen": seen, "mixed": mixed}


if __name__ == "__main__":
    roles: dict[str, Callable[..., Any]] = {"prepare": prepare, "flip": flip, "read": read}
    role, *numbers = sys.argv[1:]
    print(json.dumps(roles[role](*map(int, numbers))), flush=True)
