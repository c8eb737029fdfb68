"""Credits: each model's weights, and integers in micro-units that always add up to the conversion's value.

Shares are cut down to whole micro-units; what is left goes one by one to the largest remainders (Hamilton's method), of equal
ones to the earlier touch. So no credit is off by a whole micro-unit, and their sum by nothing.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, Literal

from analytics.attribution.paths import Path, Transform, path_to
from analytics.attribution.touches import Conversion, Touch

ModelName = Literal["first", "last", "last_non_direct", "linear", "position_based", "time_decay"]

SCALE: Final = 2**64
"""Weights of time decay are whole parts of it: the newest touch has it whole, one that is 64 half-lives older nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """How to share. `lookback` None: however old. The position weights are of the first and the last touch, in per cent."""

    name: ModelName
    lookback: timedelta | None = timedelta(days=90)
    transforms: tuple[Transform, ...] = ()
    first_percent: int = 40
    last_percent: int = 40
    half_life: timedelta = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Credit:
    """What one touch gets."""

    touch: Touch
    micros: int


@dataclass(frozen=True, slots=True)
class Attribution:
    """How a conversion's value is shared: the credits and what nobody gets add up to it, exactly."""

    conversion: Conversion
    model: Model
    credits: tuple[Credit, ...]
    unattributed: int


def attribute(conversion: Conversion, touches: Sequence[Touch], model: Model) -> Attribution:
    """Share a conversion among the touches that led to it; where there are none, nobody gets it."""
    path = path_to(conversion, touches, model.lookback, model.transforms)
    if not path:
        return Attribution(conversion, model, (), conversion.micros)
    shares = apportioned(conversion.micros, WEIGHTS[model.name](path, model))
    credits_ = tuple(Credit(touch, micros) for touch, micros in zip(path, shares, strict=True))
    return Attribution(conversion, model, credits_, 0)


def apportioned(micros: int, weights: Sequence[int]) -> list[int]:
    """Return integers in proportion to the weights, at least one of which is positive, that add up to `micros`."""
    size, total = abs(micros), sum(weights)
    shares, remainders = zip(*(divmod(size * weight, total) for weight in weights), strict=True)
    whole = list(shares)
    by_remainder = sorted(range(len(whole)), key=lambda index: (-remainders[index], index))
    for index in by_remainder[: size - sum(whole)]:
        whole[index] += 1
    return whole if micros >= 0 else [-share for share in whole]


def _only(path: Path, index: int) -> list[int]:
    return [int(position == index) for position in range(len(path))]


def _first(path: Path, _model: Model) -> list[int]:
    return _only(path, 0)


def _last(path: Path, _model: Model) -> list[int]:
    return _only(path, len(path) - 1)


def _last_non_direct(path: Path, _model: Model) -> list[int]:
    """The last touch that says where from; of a path of direct ones the last."""
    known = [index for index, touch in enumerate(path) if not touch.is_direct]
    return _only(path, known[-1] if known else len(path) - 1)


def _linear(path: Path, _model: Model) -> list[int]:
    return [1] * len(path)


def _position_based(path: Path, model: Model) -> list[int]:
    """The first and the last get theirs, those between share the rest; of two, the two share all in proportion."""
    first, last, between = model.first_percent, model.last_percent, len(path) - 2
    if between < 0:
        return [1]
    if between == 0:
        return [first, last] if first + last else [1, 1]
    return [first * between, *[100 - first - last] * between, last * between]


def _time_decay(path: Path, model: Model) -> list[int]:
    """A touch counts half of one that is a half-life younger."""
    return [int(SCALE * 0.5 ** ((path[-1].at - touch.at) / model.half_life)) for touch in path]


WEIGHTS: Final[Mapping[str, Callable[[Path, Model], list[int]]]] = {
    "first": _first,
    "last": _last,
    "last_non_direct": _last_non_direct,
    "linear": _linear,
    "position_based": _position_based,
    "time_decay": _time_decay,
}
