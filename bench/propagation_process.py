"""One process of the propagation benchmark: `prepare` a database, `read` what is known of it, or `change` it.

Times are CLOCK_MONOTONIC, which all processes of a machine share.
"""

import json
import sys
import time
from collections.abc import Callable
from typing import Any, Final

import django

django.setup()

from django.core.management import call_command  # noqa: E402 - needs Django to stand

from northstar.propagation import hear_changes  # noqa: E402
from routing.changes import Cause, set_alias  # noqa: E402
from routing.resolve import snapshot  # noqa: E402

CAUSE: Final = Cause("command:bench")
LOOK_SECONDS: Final = 0.001
PAUSE_SECONDS: Final = 0.1


def prepare() -> int:
    """Return the revision of the new database."""
    call_command("migrate", verbosity=0)
    return snapshot().revision


def change(count: int) -> list[float]:
    """Change something so often, and tell when each change was committed."""
    times = []
    for number in range(count):
        set_alias("bench", f"surface-{number}", CAUSE)
        times.append(time.monotonic())
        time.sleep(PAUSE_SECONDS)
    return times


def read(last: int) -> dict[int, float]:
    """Look until the last revision is known, and tell when each one was."""
    hear_changes()
    known = snapshot().revision
    print("ready", flush=True)
    seen: dict[int, float] = {}
    while known < last:
        revision = snapshot().revision
        if revision > known:
            now = time.monotonic()
            seen.update(dict.fromkeys(range(known + 1, revision + 1), now))
            known = revision
        time.sleep(LOOK_SECONDS)
    return seen


if __name__ == "__main__":
    roles: dict[str, Callable[..., Any]] = {"prepare": prepare, "change": change, "read": read}
    role, *numbers = sys.argv[1:]
    print(json.dumps(roles[role](*map(int, numbers))), flush=True)
