"""The guard: what it repeats, what it hides, and what it never lets through to a driver."""

from datetime import UTC, datetime

import pytest

from northstar.errors import FieldError
from storage.documents import Document, Ref
from storage.errors import BackendRejected, BackendUnavailable, InvalidKey, InvalidValue
from storage.guard import ATTEMPTS, GuardedDocuments, ServedBy
from storage.keys import Scope

SECRET = "s3cr3t-5d1f"
REF = Ref("tabular_store", ("orders",), "o-1")


class Failing:
    """A service that is away for the first calls, or refuses with a message that repeats its credentials."""

    def __init__(self, away=0, error=None):
        self.away = away
        self.error = error
        self.calls = []

    def _called(self, name):
        self.calls.append(name)
        if self.error:
            raise self.error
        if len(self.calls) <= self.away:
            raise BackendUnavailable("The service does not answer.")

    def get(self, ref):
        self._called("get")

    def put(self, ref, fields, **_options):
        self._called("put")
        return 1


def guarded(driver):
    served_by = ServedBy(1, 1, "failing")
    return GuardedDocuments(driver, scope=Scope("acme", "dev"), served_by=served_by, secrets=(SECRET,))


def test_a_read_is_repeated_until_the_service_is_back():
    driver = Failing(away=ATTEMPTS - 1)
    assert guarded(driver).get(REF) is None
    assert driver.calls == ["get"] * ATTEMPTS


def test_a_service_that_stays_away_is_an_error():
    driver = Failing(away=ATTEMPTS)
    with pytest.raises(BackendUnavailable):
        guarded(driver).get(REF)
    assert driver.calls == ["get"] * ATTEMPTS


def test_a_write_is_repeated_only_when_it_can_be_recognised():
    plain, named = Failing(away=1), Failing(away=1)
    with pytest.raises(BackendUnavailable):
        guarded(plain).put(REF, {"a": 1})
    assert guarded(named).put(REF, {"a": 1}, operation_id="op-1") == 1
    assert (plain.calls, named.calls) == (["put"], ["put", "put"])


def test_no_part_of_an_error_repeats_a_secret():
    told = f"denied for {SECRET}"
    error = BackendRejected(told, fix=told, errors=[FieldError("key", "denied", told)])
    with pytest.raises(BackendRejected) as caught:
        guarded(Failing(error=error)).get(REF)
    shown = caught.value
    assert SECRET not in f"{shown} {shown.detail} {shown.fix} {shown.errors} {shown.told()}"
    assert shown.detail == "denied for ****"


@pytest.mark.parametrize(
    ("ref", "fields", "error"),
    [
        (Ref("tabular_store", ("orders",), ""), {"a": 1}, InvalidKey),
        (Ref("tabular_store", ("or\nders",), "o-1"), {"a": 1}, InvalidKey),
        (REF, {"a": float("nan")}, InvalidValue),
    ],
)
def test_what_breaks_a_rule_reaches_no_driver(ref, fields, error):
    driver = Failing()
    with pytest.raises(error):
        guarded(driver).put(ref, fields)
    assert driver.calls == []


def test_a_document_of_another_scope_is_never_handed_on():
    class Mistaken(Failing):
        def get(self, ref):
            other = Ref(ref.collection, ("globex", *ref.partition[1:]), ref.key)
            return Document(other, {"a": 1}, 1, updated_at=datetime.now(UTC))

    with pytest.raises(BackendRejected, match="another scope"):
        guarded(Mistaken()).get(REF)


def test_a_partition_that_is_too_long_is_refused_naming_its_longest_part():
    with pytest.raises(InvalidKey, match="sssss"):
        guarded(Failing()).get(Ref("event_stream", ("s" * 890, "events"), "e/1"))
