"""What the Cosmos driver does when the service refuses, throttles or stays silent, and whose settings it heeds."""

import base64
import logging
import traceback
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest
from pydantic import SecretStr, ValidationError

from northstar.errors import ForbiddenEndpoint, InvalidConfig
from northstar.modes import LAB, SAAS
from storage.backends.cosmos import CosmosDocuments
from storage.backends.cosmos_config import CosmosConfig
from storage.documents import ABSENT, BulkPut, Totals
from storage.errors import BackendRejected, BackendUnavailable, Throttled
from storage.guard import GuardedDocuments
from tests.contract.cosmos_lab import Control, cosmos_config, cosmos_driver, guarded
from tests.contract.document_contract import all_written, ref, stored
from tests.stack.fault_proxy import fault_proxy

CANARY = base64.b64encode(b"canary" * 8).decode()
ACCOUNT = "https://northstar-1.documents.azure.com"


@pytest.fixture
def documents(cosmos_database) -> Iterator[GuardedDocuments]:
    with cosmos_driver(cosmos_config(cosmos_database)) as driver:
        yield guarded(driver)


@pytest.fixture
def control(cosmos_database) -> Iterator[Control]:
    control = Control(cosmos_database.url)
    yield control
    control.consistency("Strong")


class TestSendingAgain:
    """The SDK sends nothing twice; the driver only what has certainly not happened."""

    @pytest.mark.line(123)
    @pytest.mark.parametrize("status", [408, 500, 503])
    @pytest.mark.parametrize("applied", [True, False])
    def test_a_write_that_failed_in_the_service_is_looked_up_before_it_is_sent_again(
        self, documents, control, status, applied
    ):
        documents.put(ref("k"), {"n": 1}, expires_at=datetime.now(UTC) + timedelta(days=1))
        control.forget_counts()
        control.fault(status, operation="create", applied=applied)
        written = documents.put(ref("new"), {"n": 1}, expect=ABSENT)
        assert written.version == stored(documents, "new").version
        counts = control.counts()
        assert (counts["create"], counts.get("batch", 0)) == (1, 0 if applied else 1)

    @pytest.mark.parametrize("status", [429, 449])
    @pytest.mark.parametrize(
        ("operation", "write"),
        [
            ("upsert", lambda documents: documents.put(ref("k"), {"n": 2})),
            ("create", lambda documents: documents.put(ref("new"), {"n": 2}, expect=ABSENT)),
            ("patch", lambda documents: documents.increment(ref("k"), {"n": 1})),
            ("patch", lambda documents: documents.delete(ref("k"))),
        ],
    )
    def test_a_throttled_write_is_sent_once_more(self, documents, control, status, operation, write):
        documents.put(ref("k"), {"n": 1})
        control.forget_counts()
        control.fault(status, operation=operation, retry_after_ms=1)
        write(documents)
        assert control.counts() == {operation: 2}

    def test_a_write_that_is_throttled_for_long_is_told_as_throttled(self, documents, control):
        documents.put(ref("k"), {"n": 1})
        control.forget_counts()
        control.fault(429, operation="upsert", times=3, retry_after_ms=1)
        with pytest.raises(Throttled, match="slow down"):
            documents.put(ref("k"), {"n": 2})
        assert control.counts() == {"upsert": 3}
        assert stored(documents, "k").fields == {"n": 1}

    def test_no_wait_goes_beyond_the_time_of_a_write(self, documents, control):
        documents.put(ref("k"), {"n": 1})
        control.fault(429, operation="upsert", retry_after_ms=60_000)
        with pytest.raises(Throttled):
            documents.put(ref("k"), {"n": 2})

    def test_a_throttled_read_is_asked_again(self, documents, control):
        documents.put(ref("k"), {"n": 1})
        control.fault(429, operation="read", times=2, retry_after_ms=1)
        assert stored(documents, "k").fields == {"n": 1}

    def test_a_throttled_atomic_write_waits_as_long_as_it_is_asked_to(self, documents, control):
        documents.put(ref("k"), {"n": 1})
        control.fault(429, operation="batch", times=2, retry_after_ms=20)
        assert documents.increment(ref("k"), {"n": 0.5}).values == {"n": 1.5}

    @pytest.mark.line(52)
    def test_a_throttled_batch_of_a_bulk_is_sent_until_it_is_taken(self, documents, control):
        control.fault(429, operation="batch", times=4, retry_after_ms=1)
        assert all_written(documents.put_many([BulkPut(ref(f"k{number}"), {"n": number}) for number in range(150)]))
        assert stored(documents, "k149").fields == {"n": 149}

    @pytest.mark.parametrize("applied", [True, False])
    def test_a_batch_of_a_bulk_that_was_not_answered_is_finished(self, documents, control, applied):
        control.fault(500, operation="batch", applied=applied)
        outcomes = documents.put_many([BulkPut(ref(f"k{number}"), {"n": number}) for number in range(5)])
        assert all_written(outcomes)
        assert [outcome.version for outcome in outcomes] == [stored(documents, f"k{n}").version for n in range(5)]

    @pytest.mark.line(52)
    def test_a_failed_batch_of_a_bulk_is_the_outcome_of_each_of_its_documents(self, documents, control):
        control.fault(403, operation="batch")
        outcomes = documents.put_many([*[BulkPut(ref(f"k{number}"), {}) for number in range(3)], _conditional("l")])
        assert [type(outcome) for outcome in outcomes[:3]] == [BackendRejected] * 3
        assert all_written(outcomes[3:])

    @pytest.mark.line(123)
    def test_a_lost_increment_counts_once(self, documents, control):
        documents.put(ref("k"), {"n": 1})
        control.fault(503, operation="patch", applied=True)
        assert documents.increment(ref("k"), {"n": 1}) == Totals({"n": 2}, stored(documents, "k").version)


class _Senseless(BaseHTTPRequestHandler):
    """Answers every question with an empty list."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("content-length", "2")
        self.end_headers()
        self.wfile.write(b"[]")

    def log_message(self, *arguments: object) -> None:
        """Stay silent."""


def test_an_answer_that_makes_no_sense_is_no_error_of_the_sdk(cosmos_database):
    with HTTPServer(("127.0.0.1", 0), _Senseless) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        config = cosmos_config(cosmos_database, endpoint=f"http://127.0.0.1:{server.server_port}")
        driver = CosmosDocuments(config, mode=LAB, epoch=1)
        with pytest.raises(BackendUnavailable, match="could not be read"):
            driver.ping()
        driver.close()
        server.shutdown()


def _conditional(key: str) -> BulkPut:
    return BulkPut(ref(key), {}, expect=ABSENT)


class TestConsistency:
    """Reads are strong, or the account is refused."""

    @pytest.mark.parametrize("level", ["Strong", "BoundedStaleness"])
    def test_an_account_whose_reads_are_up_to_date_is_used(self, cosmos_database, control, level):
        control.consistency(level)
        with cosmos_driver(cosmos_config(cosmos_database)) as driver:
            driver.ping()

    @pytest.mark.parametrize("level", ["Session", "ConsistentPrefix", "Eventual"])
    def test_an_account_whose_reads_may_be_old_is_refused_with_the_remedy(self, cosmos_database, control, level):
        control.consistency(level)
        driver = CosmosDocuments(cosmos_config(cosmos_database), mode=LAB, epoch=1)
        for call in (driver.prepare, driver.ping, lambda: guarded(driver).get(ref("k"))):
            with pytest.raises(BackendRejected, match=level) as refusal:
                call()
            assert "Strong" in refusal.value.fix
        driver.close()

    def test_an_account_that_was_weakened_later_is_told_by_a_ping(self, cosmos_database, control):
        with cosmos_driver(cosmos_config(cosmos_database)) as driver:
            control.consistency("Session")
            with pytest.raises(BackendRejected, match="Session"):
                driver.ping()

    def test_a_lab_may_use_an_emulator_that_has_sessions_only(self, cosmos_database, control):
        control.consistency("Session")
        with cosmos_driver(cosmos_config(cosmos_database, consistency="session")) as driver:
            documents = guarded(driver)
            documents.put(ref("k"), {"n": 1})
            assert documents.increment(ref("k"), {"n": 1}).values == {"n": 2}
            assert stored(documents, "k").fields == {"n": 2}

    def test_sessions_are_refused_where_tenants_pay(self):
        config = CosmosConfig(endpoint=ACCOUNT, consistency="session")
        with pytest.raises(InvalidConfig, match=f"mode {SAAS}"):
            CosmosDocuments(config, mode=SAAS, epoch=1)


class TestSettings:
    """Only the route's config says where data goes and who asks."""

    @pytest.mark.parametrize("endpoint", [ACCOUNT, f"{ACCOUNT}:443/", "https://ab-c.documents.azure.us"])
    def test_an_azure_account_needs_no_entry_on_the_list(self, settings, endpoint):
        settings.NORTHSTAR_ALLOWED_ENDPOINTS = []
        assert CosmosConfig(endpoint=endpoint).endpoint == endpoint

    @pytest.mark.parametrize(
        "endpoint",
        ["http://northstar-1.documents.azure.com", f"{ACCOUNT}.example.com", f"{ACCOUNT}:444", "http://127.0.0.1:1"],
    )
    def test_any_other_address_does(self, settings, endpoint):
        settings.NORTHSTAR_ALLOWED_ENDPOINTS = []
        with pytest.raises(ForbiddenEndpoint):
            CosmosConfig(endpoint=endpoint)

    @pytest.mark.parametrize(
        "fields",
        [
            {"billing": "manual"},
            {"throughput": 400},
            {"client_secret": SecretStr("s")},
            {"client_secret": SecretStr("s"), "tenant_id": "t", "client_id": "c", "key": SecretStr("k")},
            {"database": "a/b"},
        ],
    )
    def test_settings_that_do_not_go_together_are_refused(self, fields):
        with pytest.raises(ValidationError):
            CosmosConfig(endpoint=ACCOUNT, **fields)

    def test_an_endpoint_over_plain_http_goes_with_a_key(self):
        with pytest.raises(ValidationError, match="goes with key"):
            CosmosConfig(endpoint="http://127.0.0.1:8081")

    @pytest.mark.parametrize("billing", ["autoscale", "manual"])
    def test_a_container_may_be_made_with_throughput(self, cosmos_database, billing):
        with cosmos_driver(cosmos_config(cosmos_database, billing=billing, throughput=1000)) as driver:
            driver.ping()

    def test_the_environment_redirects_nothing(self, cosmos_database, monkeypatch, tmp_path):
        netrc = tmp_path / "netrc"
        netrc.write_text("machine 127.0.0.1 login nobody password wrong\n")
        nowhere = "http://127.0.0.1:9"
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
            monkeypatch.setenv(name, nowhere)
        for name in ("ACCOUNT_URI", "COSMOS_ENDPOINT", "AZURE_COSMOS_ENDPOINT", "AZURE_COSMOS_CONNECTION_STRING"):
            monkeypatch.setenv(name, nowhere)
        monkeypatch.setenv("NETRC", str(netrc))
        monkeypatch.setenv("AZURE_COSMOS_ENABLE_CIRCUIT_BREAKER", "True")
        with cosmos_driver(cosmos_config(cosmos_database)) as driver:
            guarded(driver).put(ref("k"), {"n": 1})
            assert stored(guarded(driver), "k").fields == {"n": 1}


class TestSecrets:
    """The account key appears nowhere."""

    @pytest.mark.line(152)
    @pytest.mark.parametrize("trouble", ["wrong", "malformed", "down", "half-open"])
    def test_no_error_no_log_and_no_repr_tells_the_key(self, cosmos_database, caplog, trouble):
        caplog.set_level(logging.DEBUG)
        key = CANARY + "!" if trouble == "malformed" else CANARY
        with fault_proxy(cosmos_database.url.removeprefix("http://").rstrip("/")) as proxy:
            config = cosmos_config(cosmos_database, endpoint=f"http://{proxy.address}", key=SecretStr(key))
            driver = CosmosDocuments(config, mode=LAB, epoch=1)
            if trouble == "down":
                proxy.refuse()
            if trouble == "half-open":
                proxy.black_hole()
            told = _told_by(lambda: driver.get(guarded(driver)._inner(ref("k"))))
        driver.close()
        assert CANARY not in told + caplog.text + repr(config) + repr(driver) + str(vars(driver))

    @pytest.mark.parametrize("key", [CANARY, "no base64"])
    def test_a_key_that_the_account_does_not_take_is_told_with_a_remedy(self, cosmos_database, key):
        driver = CosmosDocuments(cosmos_config(cosmos_database, key=SecretStr(key)), mode=LAB, epoch=1)
        with pytest.raises(BackendRejected) as refusal:
            driver.ping()
        assert refusal.value.fix
        driver.close()


def _told_by(call: Callable[[], object]) -> str:
    try:
        call()
    except (BackendRejected, BackendUnavailable) as error:
        return "".join(traceback.format_exception(error)) + error.detail + error.fix
    raise AssertionError("nothing was refused")
