"""One name for one surface: the alias table first, then a fold to ASCII. Normalising twice changes nothing."""

import re
import unicodedata
from collections.abc import Mapping
from typing import Final

from northstar.context import NO_SURFACE
from northstar.errors import InvalidContext
from routing.patterns import SURFACE_PATTERN

_OUTSIDE: Final = re.compile(r"[^a-z0-9._-]+")
_CANONICAL: Final = re.compile(SURFACE_PATTERN)


def normalise_surface(given: str | None, aliases: Mapping[str, str]) -> str:
    """Return the canonical surface id: of `[a-z0-9._-]`, 1 to 128 long; `_` when none is given.

    Raises InvalidContext for a name of which nothing remains, or with a comma or a control character in it.
    """
    if given is None:
        return NO_SURFACE
    if "," in given or any(unicodedata.category(character) == "Cc" for character in given):
        raise InvalidContext(
            f"The surface {given[:128]!a} holds a comma or a control character.", fix="Send one plain name."
        )
    canonical = _follow(given, aliases)
    folded = _follow(_fold(canonical), aliases)
    if not _CANONICAL.fullmatch(folded):
        raise InvalidContext(
            f"The surface {given[:128]!a} has no name of 1 to 128 letters a-z, digits, dots, dashes or underscores.",
            fix="Send such a name in X-Surface-Id, or add an alias for it in the admin.",
        )
    return folded


def _follow(name: str, aliases: Mapping[str, str]) -> str:
    """Return what an alias leads to, over any number of steps; of aliases that lead to each other, the first by order.

    Each step is folded: an alias may lead to `shop-`, which is no canonical form, and whoever sends that means `shop`.
    """
    seen = [name]
    while (name := _fold(aliases[name]) if name in aliases else name) != seen[-1]:
        if name in seen:
            return min(seen[seen.index(name) :])
        seen.append(name)
    return name


def _fold(name: str) -> str:
    """Lower case, accents and styles removed, anything else a dash: `Café ²` is `cafe-2`."""
    plain = "".join(
        character
        for character in unicodedata.normalize("NFKD", name.casefold())
        if not unicodedata.combining(character)
    )
    return _OUTSIDE.sub("-", plain.casefold()).strip("-")
