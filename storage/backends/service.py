"""What a cloud service must do for a driver beyond its native calls: read strongly, and commit conditional writes atomically.

A driver sends what it can in one native call, and everything else through `compare_and_set`, which speaks to this seam.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple, Protocol

from storage.documents import Partition, Value, Written
from storage.errors import BackendUnavailable

REMEMBERED: Final = timedelta(days=1)
"""How long the answer to a caller's operation id and the trace of a deleted document are kept."""
CONNECT_SECONDS: Final = 2.0
READ_SECONDS: Final = 5.0
"""A call that has not answered by then counts as unanswered."""
WRITE_SECONDS: Final = 10.0
"""No attempt of one write starts later than this after the first."""
UNSTAMPED: Final = 0
UNSTAMPED_EXPIRING: Final = 1
"""What stands for a version that the service has yet to give; its versions are even, so that the sum tells of an expiry."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


class Unanswered(BackendUnavailable):
    """The service did not answer a write: it may have happened or not."""


class Outrun(Exception):
    """Somebody else was first: a condition of a commit did not hold, and nothing was changed."""


class Place(NamedTuple):
    """A partition of a collection."""

    collection: str
    partition: Partition


@dataclass(frozen=True, slots=True)
class Stored:
    """A document as the service has it: also one that has expired, and the trace of a deleted one (`gone`, no fields).

    `token` is what the service compares when that is not the version, such as an ETag.
    """

    version: int
    fields: dict[str, Value]
    updated_at: datetime
    expires_at: datetime | None = None
    epoch: int = 0
    operation_id: str = ""
    gone: bool = False
    token: Any = None

    def present(self, now: datetime) -> bool:
        return not self.gone and (self.expires_at is None or self.expires_at > now)


@dataclass(frozen=True, slots=True)
class Change:
    """One conditional write: `key` becomes `after`, if the service still has exactly `before` (None: nothing at all).

    `after.gone` is a removal: the driver leaves a trace for `REMEMBERED`, or deletes where its service tells the truth anyway.
    """

    key: str
    before: Stored | None
    after: Stored


@dataclass(frozen=True, slots=True)
class Memory:
    """What a caller's operation id was answered. `answers` is JSON; the driver stores it as it is, until `until`.

    `written` is set by a service whose commit time is the version: when, and with which version, the memory was stored.
    """

    operation_id: str
    answers: str
    until: datetime
    written: Written | None = None


class Service(Protocol):
    """Implemented by each cloud driver, besides its native calls."""

    commit_time_is_version: bool
    """True where the service stamps versions itself at commit, and `commit` tells them. Then `Change.after.version` is UNSTAMPED
    or, of a document that expires, UNSTAMPED_EXPIRING, and is added to the version of the commit."""

    def load(
        self, place: Place, keys: Sequence[str], operation_ids: Sequence[str]
    ) -> tuple[dict[str, Stored], dict[str, Memory]]:
        """Return what is stored of these, in one strongly consistent read; expired and gone documents too, lapsed memories not.

        Raises as the driver's reads do.
        """

    def commit(self, place: Place, changes: Sequence[Change], memories: Sequence[Memory]) -> list[Stored]:
        """Apply all or nothing, in one call, and return each change's `after` as it is stored now, with version, time and token.

        A memory must not exist yet, or have lapsed. There may be memories without changes.
        Raises Outrun when a condition does not hold, Unanswered when it may have happened, and other errors when it has not.
        """


def version_at(now: datetime, *, above: int = 0) -> int:
    """Return the time in microseconds as a version, pushed above an earlier one. Fits 53 bits until the year 2255."""
    return max((now - _EPOCH) // _MICROSECOND, above + 1)


def instant_of(version: int) -> datetime:
    """Return the moment of a version that is a time in microseconds."""
    return _EPOCH + version * _MICROSECOND
