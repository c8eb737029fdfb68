"""Durations as commands take them: a whole number and its unit."""

import re
from argparse import ArgumentTypeError
from datetime import timedelta
from typing import Final

_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 24 * 3600}
_DURATION: Final = re.compile(r"(\d{1,6})([smhd])", re.ASCII)


def read_duration(text: str) -> timedelta:
    """Return the duration that a text such as 30m, 24h or 3d names. Raises ArgumentTypeError, saying what is wrong."""
    found = _DURATION.fullmatch(text)
    if found is None:
        raise ArgumentTypeError(f"{text!a} is no duration such as 30m, 24h or 3d.")
    return timedelta(seconds=int(found[1]) * _UNITS[found[2]])
