"""A service in memory that keeps its conditions exactly, and fails where a test says so: for the rules of compare-and-set alone.

The drivers' own tests prove the same promises against real servers; here every interleaving can be chosen.
"""

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace

from storage.backends.service import Change, Memory, Outrun, Place, Stored, Unanswered, instant_of
from storage.documents import Written
from storage.errors import BackendUnavailable


class ScriptedService:
    """Holds one partition. `before_commit` and `after_commit` run around the next commits, in the order given, and may raise."""

    def __init__(self, *, commit_time_is_version: bool = False) -> None:
        self.commit_time_is_version = commit_time_is_version
        self.documents: dict[str, Stored] = {}
        self.memories: dict[str, Memory] = {}
        self.before_commit: list[Callable[[], None]] = []
        self.after_commit: list[Callable[[], None]] = []
        self.load_fails: list[Exception] = []
        self.loads = 0
        self.commits = 0
        self._clock = 1_000_000
        self._lock = threading.Lock()

    def load(
        self, place: Place, keys: Sequence[str], operation_ids: Sequence[str]
    ) -> tuple[dict[str, Stored], dict[str, Memory]]:
        self.loads += 1
        if self.load_fails:
            raise self.load_fails.pop(0)
        with self._lock:
            return (
                {key: self.documents[key] for key in keys if key in self.documents},
                {name: self.memories[name] for name in operation_ids if name in self.memories},
            )

    def commit(self, place: Place, changes: Sequence[Change], memories: Sequence[Memory]) -> list[Stored]:
        self.commits += 1
        if self.before_commit:
            self.before_commit.pop(0)()
        with self._lock:
            after = self._apply(changes, memories)
        if self.after_commit:
            self.after_commit.pop(0)()
        return after

    def _apply(self, changes: Sequence[Change], memories: Sequence[Memory]) -> list[Stored]:
        if any(self.documents.get(change.key) != change.before for change in changes):
            raise Outrun
        if any(memory.operation_id in self.memories for memory in memories):
            raise Outrun
        self._clock += 2
        after = [self._stamped(change.after) for change in changes]
        self.documents |= {change.key: stored for change, stored in zip(changes, after, strict=True)}
        for memory in memories:
            written = Written(self._clock, instant_of(self._clock)) if self.commit_time_is_version else None
            self.memories[memory.operation_id] = replace(memory, written=written)
        return after

    def _stamped(self, stored: Stored) -> Stored:
        if not self.commit_time_is_version:
            return stored
        return replace(stored, version=self._clock + stored.version, updated_at=instant_of(self._clock))


def lose_answer() -> None:
    """The commit may have happened: its answer is lost."""
    raise Unanswered("The connection was lost.")


def refuse_connection() -> None:
    """The commit has certainly not happened."""
    raise BackendUnavailable("The connection was refused.")
