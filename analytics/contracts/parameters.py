"""The names that campaign parameters have: the nine utm fields, and every platform's click ids."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, Literal

Proof = Literal["paid", "either", "none"]
"""What a click id proves: that the click was paid for, that it may have been, nothing."""

UTM_FIELDS: Final = (
    "utm_source",
    "utm_medium",
    "utm_campaign",
    "utm_content",
    "utm_term",
    "utm_id",
    "utm_source_platform",
    "utm_creative_format",
    "utm_marketing_tactic",
)
UTM_FIELD_SET: Final = frozenset(UTM_FIELDS)
DATA: Final = Path(__file__).parent / "data"


@dataclass(frozen=True, slots=True)
class ClickId:
    """A click id as its platform writes it. `source` and `medium` are what it implies where no tag says more."""

    parameter: str
    spellings: tuple[str, ...]
    platform: str
    proof: Proof
    source: str
    medium: str
    group: str
    ttl_days: int | None


@cache
def shipped(name: str) -> Any:
    """Return a data file of this package, read once."""
    return json.loads((DATA / f"{name}.json").read_bytes())


@cache
def click_ids() -> Mapping[str, ClickId]:
    """Return every click id that is known, by each spelling of its parameter."""
    known = {}
    for row in shipped("click_ids")["click_ids"]:
        one = ClickId(**{**row, "spellings": tuple(row["spellings"])})
        known.update(dict.fromkeys((one.parameter, *one.spellings), one))
    return MappingProxyType(known)


def utm_name(name: str) -> str:
    """Return a field's name with its prefix: `source` and `utm_source` mean the same."""
    return name if name.startswith("utm_") else f"utm_{name}"
