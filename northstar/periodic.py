"""A thread that does one job again and again, and outlives whatever a failing database or service does to the job."""

import logging
import threading
from collections.abc import Callable

from django.db import Error as DatabaseFailure
from django.db import connection

from northstar.errors import NorthstarError

logger = logging.getLogger(__name__)


class Periodic:
    """Does its job at intervals, the first time after a while or at once, and whenever it is woken.

    A job that a failing database stops goes on later.
    """

    def __init__(self, name: str, job: Callable[[], object], seconds: float, *, first_after: float = 0.0) -> None:
        self._job, self._seconds, self._first_after = job, seconds, first_after
        self._stopping = False
        self._wake = threading.Event()
        self._failing = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Begin. It is started once."""
        self._thread.start()

    def wake(self) -> None:
        """Have it do the job at once, or once more after the one in hand."""
        self._wake.set()

    def ask_to_stop(self) -> None:
        """Have it end after the job in hand."""
        self._stopping = True
        self._wake.set()

    def join(self, seconds: float) -> None:
        """Wait for its end; what takes longer is left behind."""
        self._thread.join(seconds)

    def _run(self) -> None:
        self._wake.wait(self._first_after)
        while not self._stopping:
            self._wake.clear()
            self._once()
            if not self._stopping:
                self._wake.wait(self._seconds)

    def _once(self) -> None:
        try:
            self._job()
            self._failing = False
        except (DatabaseFailure, NorthstarError) as error:
            if not self._failing:  # once per outage
                logger.warning("%s waits: %s", self._thread.name, error)
            self._failing = True
        finally:
            connection.close()
