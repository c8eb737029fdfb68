"""Preconditions on generation and metageneration ("Request preconditions"): 412, or 304 when reading what has not changed."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from tests.servers.gcs_errors import bad_request, not_modified, precondition_failed


class Versioned(Protocol):
    """What has a generation and a metageneration."""

    @property
    def generation(self) -> int: ...

    @property
    def metageneration(self) -> int: ...


@dataclass(frozen=True)
class Preconditions:
    """What must hold of an object for a request to go on; None where nothing is asked. Generation 0 is: no object."""

    generation: int | None = None
    generation_not: int | None = None
    metageneration: int | None = None
    metageneration_not: int | None = None

    @classmethod
    def of_parameters(cls, parameters: Mapping[str, str], prefix: str = "if") -> "Preconditions":
        """Read the query's, such as ifGenerationMatch, or with another prefix ifSourceGenerationMatch."""
        names = ("GenerationMatch", "GenerationNotMatch", "MetagenerationMatch", "MetagenerationNotMatch")
        return cls(*(_number(prefix + name, parameters) for name in names))

    @classmethod
    def of_headers(cls, headers: Mapping[str, str]) -> "Preconditions":
        """Read those of the XML API."""
        generation = _number("x-goog-if-generation-match", headers)
        return cls(generation, metageneration=_number("x-goog-if-metageneration-match", headers))

    def check_write(self, current: Versioned | None) -> None:
        """Raise a 412 unless all holds; without an object only `generation` 0 does."""
        if self != Preconditions() and not self._holds(current):
            raise precondition_failed()

    def check_read(self, current: Versioned) -> None:
        """Raise a 412 when the object is another than asked for, a 304 when it is still the same."""
        if self.generation not in {None, current.generation} or self.metageneration not in {
            None,
            current.metageneration,
        }:
            raise precondition_failed()
        if current.generation == self.generation_not or current.metageneration == self.metageneration_not:
            raise not_modified()

    def _holds(self, current: Versioned | None) -> bool:
        if current is None:
            return self.generation == 0 and self.metageneration is None
        return (
            self.generation in {None, current.generation}
            and self.metageneration in {None, current.metageneration}
            and self.generation_not != current.generation
            and self.metageneration_not != current.metageneration
        )


def _number(name: str, source: Mapping[str, str]) -> int | None:
    value = source.get(name)
    if value is None:
        return None
    if not value.isdecimal():
        raise bad_request(f"Invalid value for {name}: {value}")
    return int(value)
