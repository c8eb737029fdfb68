"""What the demo promised and what it saw, line by line."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from northstar.console import BAD, GOOD, Out

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Check:
    """One promise, what was seen of it, and whether that is what was promised."""

    part: str
    promise: str
    seen: str
    ok: bool


@dataclass(slots=True)
class Report:
    """Narrates to `out` and remembers every check."""

    out: Out
    checks: list[Check] = field(default_factory=list)
    _part: str = ""

    @property
    def ok(self) -> bool:
        """Whether there was something to see, and all of it as promised."""
        return bool(self.checks) and all(check.ok for check in self.checks)

    def part(self, title: str) -> None:
        """Begin a part of the story."""
        self._part = title
        self.out.heading(title)

    def say(self, text: str) -> None:
        """Narrate."""
        self.out.line(text)

    def each(self, title: str, items: Sequence[Item]) -> Iterator[Item]:
        """Yield the items while showing progress."""
        return self.out.each(title, items)

    def check(self, promise: str, ok: bool, seen: str) -> None:
        """Record a promise with what was seen."""
        self.checks.append(Check(self._part, promise, seen, ok))
        self.out.line(f"  {_mark(ok):<4}{promise}: {seen}", GOOD if ok else BAD)

    def equal(self, promise: str, expected: Any, seen: Any) -> None:
        """Record that what was seen is what was expected."""
        self.check(promise, seen == expected, f"{seen}" if seen == expected else f"{seen}, expected {expected}")

    def table(self) -> None:
        """Print every check with what was seen."""
        self.out.heading("Verified")
        rows = [(_mark(check.ok), check.promise, check.seen) for check in self.checks]
        styles = [GOOD if check.ok else BAD for check in self.checks]
        self.out.table(("", "Promise", "Seen"), rows, styles)


def _mark(ok: bool) -> str:
    return "ok" if ok else "NOT"
