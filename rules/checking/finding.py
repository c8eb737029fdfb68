"""What a consistency check has found."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that does not fit: a stable code, the place in the seed, and a sentence with both sides of it."""

    code: str
    place: str
    detail: str
