"""Writes whose caller gave no operation id: in as few calls as Firestore allows, and else by compare-and-set."""

from datetime import UTC, datetime

from northstar.errors import NorthstarError
from storage.backends.compare_and_set import Believed, CompareAndSet, new_operation_id
from storage.backends.decisions import check_expectation
from storage.backends.firestore_items import never_expires
from storage.backends.firestore_service import FirestoreService
from storage.backends.plans import Request
from storage.backends.sending import sent
from storage.backends.service import Outrun, Place, Unanswered
from storage.documents import Delete, Expect, Outcome, Put, Written
from storage.errors import BackendUnavailable


def in_one_commit(expect: Expect) -> bool:
    """Whether Firestore alone can tell that the expectation holds. It cannot see that a document has expired."""
    return not isinstance(expect, int) or never_expires(expect)


class NativeWrites:
    """Puts and deletes of one driver. They raise what the contract says, or as `CompareAndSet.finish`."""

    def __init__(self, service: FirestoreService, writes: CompareAndSet) -> None:
        self._service = service
        self._writes = writes

    def put(self, place: Place, step: Put) -> Written:
        operation_id, started = new_operation_id(), datetime.now(UTC)
        if not in_one_commit(step.expect):
            return self.decided(place, step, operation_id)
        try:
            return sent(lambda: self._service.put(place, step, operation_id))
        except Outrun:
            return self.decided(place, step, operation_id)
        except Unanswered:
            return self.finished(place, step, operation_id, started)

    def delete(self, place: Place, step: Delete) -> bool:
        """Look whether there is something, since Firestore does not tell, and delete just that."""
        operation_id = new_operation_id()
        try:
            found = self._service.read_envelope(place, step.key)
        except BackendUnavailable:
            return self._decided(place, step, operation_id, None) is True
        present = found is not None and found.present(datetime.now(UTC))
        check_expectation(step.key, step.expect, version=found.version if found else 0, present=present)
        if found is None or not present:
            return False
        return self._decided(place, step, operation_id, {step.key: found}) is True

    def decided(self, place: Place, step: Put, operation_id: str) -> Written:
        """Write, or refuse, what a native call could not, after a look at what is stored."""
        return as_written(self._decided(place, step, operation_id, None))

    def finished(self, place: Place, step: Put, operation_id: str, started: datetime) -> Written:
        """Find out whether an unanswered put has happened, and write it if it has not."""
        return as_written(self._writes.finish(place, step, operation_id, started))

    def _decided(self, place: Place, step: Put | Delete, operation_id: str, believed: Believed | None) -> Outcome:
        (decided,), _ = self._writes.run(place, [Request((step,), operation_id, named=False)], believed)
        if isinstance(decided, NorthstarError):
            raise decided
        return decided[0]


def as_written(outcome: Outcome) -> Written:
    assert isinstance(outcome, Written)
    return outcome
