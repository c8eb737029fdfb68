"""Paths: the touches that may share a conversion, in their order, after what the model wants done to them."""

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from itertools import groupby
from typing import Final, Literal

from analytics.attribution.touches import Conversion, Touch

Transform = Literal["collapse_repeats", "first_of_each", "drop_trailing_direct", "drop_direct"]

Path = Sequence[Touch]


def path_to(conversion: Conversion, touches: Path, lookback: timedelta | None, transforms: Sequence[Transform]) -> Path:
    """Return the touches before the conversion, within the lookback, from the oldest; those of one moment in the order given.

    A touch at the very moment of the conversion counts, and so does one exactly as old as the lookback.
    """
    path: Path = [
        one for one in touches if one.at <= conversion.at and (lookback is None or conversion.at - one.at <= lookback)
    ]
    path = sorted(path, key=lambda one: one.at)
    for name in transforms:
        path = TRANSFORMS[name](path)
    return path


def _collapse_repeats(path: Path) -> Path:
    """Keep the last of several equal touches in a row: the time that it was remembered by."""
    return [list(same)[-1] for _, same in groupby(path, key=lambda one: one.key)]


def _first_of_each(path: Path) -> Path:
    first: dict[tuple[str, ...], Touch] = {}
    for one in path:
        first.setdefault(one.key, one)
    return list(first.values())


def _drop_trailing_direct(path: Path) -> Path:
    """Direct visits after the last other touch; a path of nothing else stays."""
    last = max((index for index, one in enumerate(path) if not one.is_direct), default=len(path) - 1)
    return path[: last + 1]


def _drop_direct(path: Path) -> Path:
    return [one for one in path if not one.is_direct] or path


TRANSFORMS: Final[Mapping[str, Callable[[Path], Path]]] = {
    "collapse_repeats": _collapse_repeats,
    "drop_direct": _drop_direct,
    "drop_trailing_direct": _drop_trailing_direct,
    "first_of_each": _first_of_each,
}
