"""Records judged quickly: one whose values nothing can be wrong with is judged as its like was.

Two records are alike when they have the same fields, the same values wherever the contract or the channel looks at a value
beside others, and click ids of the same names: then the same fields are missing, and nothing else is said. Every other value is
looked at by itself: it is an allowed one, or it is plain and within its rule. What is not sure is left to the validator.
"""

import re
import string
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from analytics.contracts.channels import Channel
from analytics.contracts.clicks import WELL_FORMED
from analytics.contracts.compiled import CompiledContract, CompiledField
from analytics.contracts.findings import Finding
from analytics.contracts.macros import bare_names
from analytics.contracts.parameters import UTM_FIELDS
from analytics.contracts.values import SENTINELS

LIKES: Final = 10_000
"""Kinds of records that a contract remembers; then it begins anew."""
SEEN: Final = 1_000
"""Values of a field that are remembered."""
PLAIN_CHARACTERS: Final = 500

_ALPHABET: Final = string.ascii_letters + string.digits + "_ .-"

_PLAIN: Final = re.compile(r"[A-Za-z0-9]+(?:_[A-Za-z0-9]+)*|[A-Za-z][A-Za-z0-9]*(?:[ _.-][A-Za-z][A-Za-z0-9]*)*")
"""No flaw, macro or personal data has this form, but for the words below."""
_WORDS: Final = SENTINELS | bare_names()
_TELLING: Final = re.compile("shop|cross-network", re.IGNORECASE)
"""What a campaign's name says about the channel."""


@dataclass(frozen=True, slots=True)
class Tags:
    """A record's tags: utm fields, click ids by their canonical parameter, and the host of the page."""

    utm: Mapping[str, str]
    clicks: Mapping[str, str]
    host: str


@dataclass(frozen=True, slots=True)
class Known:
    """What was said of a record, and is said of its like: nothing of it is about a value."""

    channel: Channel
    findings: tuple[Finding, ...]
    valid: bool


class Quick:
    """What is known of plain records under one contract."""

    def __init__(self, contract: CompiledContract) -> None:
        closed = contract.rules.other_fields == "forbid"
        self._clean = {field: _Values(contract.fields.get(field), closed=closed) for field in UTM_FIELDS}
        self._watched = tuple(sorted({"utm_source", "utm_medium"} | _watched(contract)))
        self._likes: dict[tuple[Any, ...], Known] = {}

    def known(self, tags: Tags) -> Known | None:
        """Return what is said of a record of this kind; None where the validator has to look."""
        return self._likes.get(self._like(tags)) if self._is_plain(tags) else None

    def remember(self, tags: Tags, known: Known) -> None:
        """Remember what was said of a record, where all of its kind would hear the same."""
        if self._is_plain(tags) and all(one.position is None and not one.got for one in known.findings):
            if len(self._likes) >= LIKES:
                self._likes.clear()
            self._likes[self._like(tags)] = known

    def _like(self, tags: Tags) -> tuple[Any, ...]:
        utm, clicks = tags.utm, tags.clicks
        watched = tuple([utm.get(name) or clicks.get(name) for name in self._watched])
        return watched, tuple(utm), tuple(clicks), tags.host

    def _is_plain(self, tags: Tags) -> bool:
        utm, clean = tags.utm, self._clean
        if "utm_source" not in utm or _TELLING.search(utm.get("utm_campaign", "")):
            return False
        for field, value in utm.items():
            values = clean[field]
            if value not in values.seen and not values.holds(value):
                return False
        return all(map(WELL_FORMED.fullmatch, tags.clicks.values()))


class _Values:
    """Which values of one field are surely clean. `seen` holds the allowed ones, and some that were looked at."""

    def __init__(self, compiled: CompiledField | None, *, closed: bool) -> None:
        rule = compiled.rule if compiled else None
        self.seen: set[str] = set(compiled.exact) if compiled else set()
        self._any = not closed if rule is None else rule.kind != "enum" and rule.presence != "forbidden"
        self._least, self._most = (rule.min_length, rule.max_length) if rule else (1, PLAIN_CHARACTERS)
        self._lower = rule is not None and rule.case == "lower"
        self._pattern = compiled.pattern if compiled else None
        charset = compiled.charset if compiled else None
        self._charset = frozenset(one for one in _ALPHABET if charset is None or charset.matches(one))

    def holds(self, value: str) -> bool:
        """Whether nothing is wrong with the value."""
        clean = (
            self._any
            and self._least <= len(value) <= self._most
            and _PLAIN.fullmatch(value) is not None
            and value not in _WORDS
            and value.lower() not in _WORDS
            and self._charset.issuperset(value)
            and not (self._lower and value != value.lower())
            and (self._pattern is None or self._pattern.matches(value))
        )
        if clean and len(self.seen) < SEEN:
            self.seen.add(value)
        return clean


def _watched(contract: CompiledContract) -> set[str]:
    """The fields and click ids whose values rules compare."""
    conditions = [rule.rule.required_if for rule in contract.fields.values()]
    conditions += [one for rule in contract.rules.cross_fields for one in (rule.when, rule.then)]
    return {one.field for one in conditions if one is not None}
