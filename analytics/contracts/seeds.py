"""The contracts that Northstar ships: five that are active, and four drafts whose platforms' macro lists are not confirmed."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Final, Literal

from analytics.contracts.macros import dialects
from analytics.contracts.model import Mode, Rules
from analytics.contracts.parameters import shipped

ACTIVE: Final = ("google_ads", "facebook", "linkedin", "twitter", "tiktok")
DRAFTS: Final = ("microsoft_ads", "pinterest", "snapchat", "reddit")


@dataclass(frozen=True, slots=True)
class Seed:
    """A contract as it is shipped."""

    platform: str
    version: str
    status: Literal["draft", "active"]
    mode: Mode
    notes: str
    rules: Rules


@cache
def seed(platform: str) -> Seed:
    """Return the seed of a platform that is shipped."""
    row = shipped(f"seeds/{platform}")
    rules = Rules.model_validate({**row["rules"], "dialect": dialects()[platform].model_dump()})
    return Seed(**{**row, "rules": rules})


def seeds() -> Iterator[Seed]:
    """Yield every seed: the active ones first."""
    yield from map(seed, (*ACTIVE, *DRAFTS))
