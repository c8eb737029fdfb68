"""Reading a metric over any range of time in few round trips: only days that have values are asked, sparse ones side by side.

A reading has an end: SCANS round trips and VALUES values. What lies beyond is told as the place where the next reading goes on.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from northstar.instants import instant_text
from storage.documents import Document, Page
from storage.guard import PAGE_LIMIT, GuardedDocuments
from storage.kinds.metrics import COLLECTION, Series

SCANS: Final = 400
"""Round trips of one reading: a year of days that each have few values, and the list of those days."""
VALUES: Final = 64_000
"""Values that one reading looks at, give or take a page."""
SIDE_BY_SIDE: Final = 8
"""Days read at once, once they turn out to hold little. A day of more than one page is read alone."""
DAYS_LISTED: Final = 64
DAYS_FOR_ONE: Final = 8
"""Days listed at once, and when a single value is wanted: some may turn out empty, most do not."""
_MIDNIGHT: Final = "T00:00:00.000000Z"
_END_OF_DAY: Final = "T~"
"""After every moment of a day, in the order of keys."""


@dataclass(frozen=True, slots=True)
class Span:
    """Event times from `start` on, and before `end`; None is no bound. `after` is the key, without its lead, to go on after."""

    start: datetime | None = None
    end: datetime | None = None
    after: str | None = None

    @property
    def lower(self) -> str:
        """A bound below the first wanted key: a moment sorts before every value of that moment."""
        moment = instant_text(self.start) if self.start else "0"
        return max(moment, self.after) if self.after else moment

    @property
    def upper(self) -> str:
        """A bound above the last wanted key."""
        return instant_text(self.end) if self.end else "~"


class Reading:
    """One reading of a span. Iterate `pages`; `stopped_at` is then None when everything was read, else where to go on."""

    def __init__(
        self,
        documents: GuardedDocuments,
        series: Series,
        span: Span,
        *,
        size: int = PAGE_LIMIT,
        reverse: bool = False,
    ) -> None:
        self.stopped_at: str | None = None
        self._documents = documents
        self._series = series
        self._span = span
        self._size = size
        self._reverse = reverse
        self._scans_left = SCANS
        self._values_left = VALUES
        self._side_by_side = 1

    def pages(self) -> Iterator[list[Document]]:
        """Yield values in the order of their times (reversed on request), until the span or the allowance ends."""
        for moments in self._windows():
            if not self._spend(len(moments)):
                self.stopped_at = max(moments[0], self._span.lower)
                return
            for moment, first in zip(moments, self._first_pages(moments), strict=True):
                yield from self._partition(moment, first)
                if self.stopped_at is not None:
                    return

    def _windows(self) -> Iterator[list[str]]:
        """Yield moments, one of each partition that may have values, in order and as many as are read side by side."""
        for moments in self._listed():
            left = moments
            while left:
                window, left = left[: self._side_by_side], left[self._side_by_side :]
                yield window

    def _listed(self) -> Iterator[list[str]]:
        if self._series.one_log:
            yield [self._span.lower]
            return
        cursor: str | None = None
        while self._spend(1):
            page = self._days(cursor)
            yield [document.ref.key for document in page.documents]
            if page.cursor is None:
                return
            cursor = page.cursor
        self.stopped_at = f"{cursor}{_END_OF_DAY}" if cursor else self._span.lower

    def _days(self, cursor: str | None) -> Page:
        """Read which days of the span have values."""
        return self._documents.scan(
            COLLECTION,
            self._series.days,
            after=_just_below(self._span.lower[:10]),
            before=self._span.upper.removesuffix(_MIDNIGHT),
            limit=DAYS_FOR_ONE if self._size == 1 else DAYS_LISTED,
            reverse=self._reverse,
            cursor=cursor,
        )

    def _first_pages(self, moments: list[str]) -> list[Page]:
        if len(moments) == 1:
            return [self._scan(moments[0])]
        with ThreadPoolExecutor(len(moments)) as readers:
            return list(readers.map(self._scan, moments))

    def _partition(self, moment: str, page: Page) -> Iterator[list[Document]]:
        """Yield the pages of the partition in which the moment lies; `page` is the first."""
        self._side_by_side = 1 if page.cursor else min(2 * self._side_by_side, SIDE_BY_SIDE)
        while True:
            if page.documents:
                yield list(page.documents)
            self._values_left -= len(page.documents)
            if self._values_left <= 0 or (page.cursor and not self._spend(1)):
                self.stopped_at = page.documents[-1].ref.key.removeprefix(self._series.lead)
            if self.stopped_at is not None or page.cursor is None:
                return
            page = self._scan(moment, page.cursor)

    def _scan(self, moment: str, cursor: str | None = None) -> Page:
        lead = self._series.lead
        return self._documents.scan(
            COLLECTION,
            self._series.partition(moment),
            prefix=lead,
            after=lead + self._span.lower,
            before=lead + self._span.upper,
            limit=self._size,
            reverse=self._reverse,
            cursor=cursor,
        )

    def _spend(self, scans: int) -> bool:
        self._scans_left -= scans
        return self._scans_left >= 0


def _just_below(day: str) -> str | None:
    """Return a key that sorts before a day and after every day before it; None where there is no such day."""
    return f"{day[:-1]}{chr(ord(day[-1]) - 1)}~" if len(day) == 10 else None
