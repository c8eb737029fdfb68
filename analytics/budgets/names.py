"""Names: providers, metrics, levels, and the keys of everything that the table `budget` holds.

A key never needs escaping: providers, metrics, users and projects hold no colon.
"""

import re
from datetime import datetime
from typing import Final

from northstar.errors import FieldError, InvalidRequest
from northstar.instants import instant_text

TABLE: Final = "budget"
TENANT, PROJECT, USER = "tenant", "project", "user"
LEVELS: Final = (TENANT, PROJECT, USER)
MONEY: Final = "usd"
"""The metric that usage of a provider's other metrics is also counted in, where a price is known."""

POLICIES: Final = "budget:policy:"
COUNTERS: Final = "budget:usage:"
ROWS: Final = "budget:row:"
FOLDED: Final = "budget:folded:"
OPEN: Final = "budget:open:"
REFUSALS: Final = "budget:refused:"
ALERTS: Final = "budget:alert:"
OUTBOX: Final = "budget:outbox:"
OWED: Final = "budget:o"
"""Begins both pointers and letters: one look tells whether there is any."""
ADJUSTMENTS: Final = "budget:plus:"
CARRIED: Final = "budget:carried:"
PROJECTS: Final = "budget:known:"
PROMISES: Final = "budget:to-projects:"
PRICES: Final = "budget:price:"
SHELF: Final = "budget:p"
"""Begins policies, adjustments and prices: one read brings all that decides what a usage counts as."""

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
RULE: Final = "1 to 64 lower-case letters, digits, dots, dashes or underscores, the first a letter or digit"


def check_name(name: str, *, field: str) -> str:
    """Return the name of a provider or metric. Raises InvalidRequest, naming the rule."""
    if not _NAME.fullmatch(name):
        detail = f"{name[:80]!a} is no name of a {field}: use {RULE}."
        raise InvalidRequest(
            detail, fix="Use a name such as openai or tokens.", errors=[FieldError(field, "pattern", detail)]
        )
    return name


def policy_key(provider: str, metric: str, level: str, user: str | None = None) -> str:
    """The key of a policy. A level's policy without a user is that of every user."""
    return f"{POLICIES}{provider}:{metric}:{level}" + (f":{user}" if user else "")


def counter_key(provider: str, metric: str, window: str, user: str | None = None) -> str:
    """The key of the counter of one window: a project's or tenant's is told by its place, a user's names the user."""
    return f"{COUNTERS}{provider}:{metric}:{window}" + (f":{USER}:{user}" if user else "")


def row_key(provider: str, metric: str, row_id: str) -> str:
    """The key of a usage or a reservation in its home."""
    return f"{ROWS}{provider}:{metric}:{row_id}"


def leg_key(provider: str, metric: str, row_id: str, attempt: int, project: str) -> str:
    """The key of the part of a project's row that lies with its tenant."""
    return f"{ROWS}{provider}:{metric}:{row_id}:{attempt}:{project}"


def open_key(expires_at: datetime, row: str) -> str:
    """The key of the pointer to a row that must be settled by this time: pointers lie in the order of their times."""
    return f"{OPEN}{instant_text(expires_at)}:{row.removeprefix(ROWS)}"


def row_of_open(key: str) -> str:
    """The key of the row that a pointer names."""
    return ROWS + key.removeprefix(OPEN)[len("2026-11-20T12:00:00.000000Z:") :]
