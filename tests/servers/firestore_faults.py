"""Faults that tests inject into calls, and counts of the calls that came."""

import threading
from collections import Counter
from dataclasses import dataclass

import grpc


@dataclass
class Fault:
    """What happens to the next `count` calls of a method, of one project when that is given.

    `code` is the gRPC status that they end with, None for no error. `delay_seconds` pass first. With `after` false the
    call is not applied; with `after` true it is, and its answer is lost.
    """

    method: str
    code: grpc.StatusCode | None
    count: int = 1
    after: bool = False
    delay_seconds: float = 0
    project: str | None = None


class Faults:
    """The faults to come and the calls that were. Safe under threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._armed: list[Fault] = []
        self._calls: Counter[tuple[str, str]] = Counter()

    def arm(self, fault: Fault) -> None:
        """Let a fault happen, after those of the same method that were armed before."""
        with self._lock:
            self._armed.append(fault)

    def disarm(self) -> None:
        """Let no fault happen any more."""
        with self._lock:
            self._armed.clear()

    def meet(self, project: str, method: str) -> Fault | None:
        """Count a call, and return the fault that it meets."""
        with self._lock:
            self._calls[project, method] += 1
            for fault in self._armed:
                if fault.method == method and fault.project in {None, project}:
                    fault.count -= 1
                    if not fault.count:
                        self._armed.remove(fault)
                    return fault
        return None

    def calls(self, project: str | None = None) -> dict[str, int]:
        """Return how often each method was called, by one project when that is given. Calls that failed count too."""
        total: Counter[str] = Counter()
        with self._lock:
            for (caller, method), count in self._calls.items():
                if project in {None, caller}:
                    total[method] += count
        return dict(total)

    def forget_calls(self) -> None:
        """Count from zero again."""
        with self._lock:
            self._calls.clear()
