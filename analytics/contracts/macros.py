"""Macros: what platforms fill in when an ad is clicked. Found in a value, and judged by the platform's dialect.

In a template a macro must be one of the platform's own, exactly as it writes it; on a landing none may be left.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from types import MappingProxyType
from typing import Final, Literal

from analytics.contracts.model import MacroDialect
from analytics.contracts.parameters import shipped

Phase = Literal["template", "landing"]

ALIKE: Final = 0.8
"""How alike a name must be to one that exists, to ask whether that was meant (difflib's ratio, separators left out)."""

_BRACED: Final = re.compile(r"\{\{[^{}]{0,100}\}\}|\{[^{}]{0,100}\}")
_UNDERSCORED: Final = re.compile(
    r"__[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)*__|(?<![A-Za-z0-9_])_{1,2}[A-Za-z][A-Za-z0-9]*(?:_[A-Za-z0-9]+)*_{1,2}(?![A-Za-z0-9_])"
)
_SQUASHED: Final = re.compile(r"[^a-z0-9]")


@dataclass(frozen=True, slots=True)
class Macro:
    """A macro as it stands in a value, or what looks like one: `text` with its delimiters, `start` its index."""

    text: str
    opens: str
    name: str
    closes: str
    start: int


@dataclass(frozen=True, slots=True)
class Opinion:
    """What is wrong with a macro: a finding's code, what was expected, and a hint of its own where there is one."""

    code: str
    expected: str
    hint: str = ""


@cache
def dialects() -> Mapping[str, MacroDialect]:
    """Return the dialect of every platform that is known here."""
    rows = shipped("dialects")["dialects"]
    return MappingProxyType({platform: MacroDialect(**row) for platform, row in rows.items()})


def spelled(dialect: MacroDialect, name: str) -> str:
    """Return a macro of the dialect as it is written."""
    return f"{dialect.opens}{name}{dialect.closes}"


def macros_in(value: str) -> Iterator[Macro]:
    """Yield what looks like a macro of any platform, in its order."""
    if "{" in value:
        for match in _BRACED.finditer(value):
            width = 2 if match[0].startswith("{{") else 1
            yield Macro(match[0], "{" * width, match[0][width:-width], "}" * width, match.start())
    if "_" in value:
        yield from _underscored(value)
    if value in bare_names():
        yield Macro(value, "", value, "", 0)


def _underscored(value: str) -> Iterator[Macro]:
    for match in _UNDERSCORED.finditer(value):
        name = match[0].strip("_")
        if _near(name, _underscored_names()):  # underscores mean nothing by themselves
            start = len(match[0]) - len(match[0].lstrip("_"))
            end = len(match[0]) - len(match[0].rstrip("_"))
            yield Macro(match[0], "_" * start, name, "_" * end, match.start())


def opinion(macro: Macro, dialect: MacroDialect | None, platform: str, phase: Phase) -> Opinion | None:
    """Return what is wrong with a macro in a URL of this platform; None where nothing is."""
    own = dialect or MacroDialect()
    delimited = (macro.opens, macro.closes) == (own.opens, own.closes) and bool(own.names)
    if delimited and _is_known(macro.name, own):
        return Opinion("unexpanded_macro", "the macro's value") if phase == "landing" else None
    if delimited and (wrong := _known_wrong(macro, own)):
        return wrong
    names = _names(own)
    same = names.get(_squashed(macro.name), "")
    if delimited and same:
        return Opinion("misspelt_macro", same, f"Did you mean {same}? Spelling and case must be exact.")
    if other := _owner(macro, platform):
        hint = f"{macro.text} is of {other}, and stays as it is on {platform}."
        return Opinion("foreign_macro", same, f"{hint} Did you mean {same}?" if same else hint)
    if meant := _near(macro.name, names):
        return Opinion(
            "misspelt_macro", names[meant], f"Did you mean {names[meant]}? Spelling and delimiters must be exact."
        )
    return Opinion("misspelt_macro", _listed(own), _no_such(own))


def _known_wrong(macro: Macro, own: MacroDialect) -> Opinion | None:
    if replacement := own.retired.get(macro.name):
        return Opinion("retired_macro", replacement, f"The platform has retired {macro.text}; use {replacement}.")
    if replacement := own.mistakes.get(macro.name):
        return Opinion(
            "misspelt_macro", replacement, f"The platform never had {macro.text}. Did you mean {replacement}?"
        )
    return None


def _is_known(written: str, dialect: MacroDialect) -> bool:
    name = written if dialect.case_sensitive else written.lower()
    if name in _exact(dialect):
        return True
    prefix = dialect.custom_prefix
    if prefix and name.startswith(prefix) and name[len(prefix) :].isalnum():
        return True
    return ":" in name and name.partition(":")[0] in dialect.functions


def _owner(macro: Macro, platform: str) -> str | None:
    """Return another platform whose macro this is, exactly as it stands."""
    for other, dialect in dialects().items():
        same = (macro.opens, macro.closes) == (dialect.opens, dialect.closes)
        if other != platform and same and dialect.names and _is_known(macro.name, dialect):
            return other
    return None


@cache
def _exact_names(names: tuple[str, ...], case_sensitive: bool) -> frozenset[str]:
    return frozenset(names if case_sensitive else (name.lower() for name in names))


def _exact(dialect: MacroDialect) -> frozenset[str]:
    return _exact_names((*dialect.names, *dialect.landing), dialect.case_sensitive)


def _names(dialect: MacroDialect) -> Mapping[str, str]:
    return _squashed_names((*dialect.names, *dialect.landing), dialect.opens, dialect.closes)


@cache
def _squashed_names(names: tuple[str, ...], opens: str, closes: str) -> Mapping[str, str]:
    """Names without case and separators, with how each is written."""
    return MappingProxyType({_squashed(name): f"{opens}{name}{closes}" for name in names})


@cache
def _underscored_names() -> Mapping[str, str]:
    found: dict[str, str] = {}
    for dialect in dialects().values():
        if dialect.opens == "__":
            found |= {**_names(dialect)} | {_squashed(name): text for name, text in dialect.mistakes.items()}
    return MappingProxyType(found)


@cache
def bare_names() -> frozenset[str]:
    """Return the macros that are whole values, without delimiters."""
    bare = [dialect for dialect in dialects().values() if not dialect.opens]
    return frozenset(name for dialect in bare for name in (*dialect.names, *dialect.mistakes))


def _near(name: str, names: Mapping[str, str]) -> str | None:
    """Return the name, squashed, that this one is or nearly is."""
    squashed = _squashed(name)
    if squashed in names:
        return squashed
    return next(iter(get_close_matches(squashed, names, n=1, cutoff=ALIKE)), None)


def _squashed(name: str) -> str:
    return _SQUASHED.sub("", name.lower())


def _listed(dialect: MacroDialect) -> str:
    return ", ".join(spelled(dialect, name) for name in dialect.names[:12])


def _no_such(dialect: MacroDialect) -> str:
    return "" if dialect.names else "The platform documents no macros: write the value itself."
