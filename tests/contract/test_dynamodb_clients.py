"""The SDK's clients: nothing but the route's config says where they go and as whom, and no secret comes out of them."""

import logging
from collections.abc import Iterator

import pytest
from botocore.hooks import BaseEventHooks

from storage.backends.aws_sessions import Sessions
from storage.backends.dynamodb_config import DynamoDBConfig
from storage.documents import Ref
from storage.errors import BackendRejected, BackendUnavailable
from tests.contract.aws_lab import CANARY, ROLE, RoleService, misleading, role_service
from tests.contract.document_contract import ref, stored
from tests.contract.dynamodb_lab import DynamoDBLab, guarded
from tests.stack.aws_faults import AwsFaults
from tests.stack.counting import counting_http
from tests.stack.fault_proxy import fault_proxy
from tests.stack.fixtures import AwsAccount

__all__ = ["misleading"]

backend = "dynamodb (MiniStack)"
REF = Ref("contract", ("acme", "orders"), "k")


@pytest.fixture
def dynamodb(aws_account: AwsAccount, settings) -> Iterator[DynamoDBLab]:
    lab = DynamoDBLab(aws_account, settings)
    yield lab
    lab.close()


def test_what_the_environment_says_of_aws_changes_nothing(dynamodb, misleading):
    driver = dynamodb.prepared()
    documents = guarded(driver)
    documents.put(ref("k"), {"n": 1})
    assert stored(documents, "k").fields == {"n": 1}
    settings = driver.native().meta
    assert (settings.region_name, settings.endpoint_url) == (dynamodb.account.region, dynamodb.account.endpoint)
    assert (settings.config.read_timeout, settings.config.retries["total_max_attempts"]) == (5.0, 1)


def test_without_an_endpoint_the_region_s_own_is_asked(misleading):
    config = DynamoDBConfig(region="eu-central-1", access_key_id="a", secret_access_key="b")
    client = Sessions().client("dynamodb", config)
    assert client.meta.endpoint_url == "https://dynamodb.eu-central-1.amazonaws.com"
    client.close()


def test_without_keys_the_platform_s_credentials_are_used_and_no_address_of_its_own(dynamodb, monkeypatch, misleading):
    monkeypatch.delenv("AWS_PROFILE")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", dynamodb.account.access_key)
    client = Sessions().client("dynamodb", dynamodb.config(access_key_id=None, secret_access_key=None))
    dynamodb.prepared()
    assert client.list_tables()["TableNames"] == ["northstar"]
    client.close()


def test_a_platform_without_credentials_says_so(dynamodb, monkeypatch, tmp_path):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setattr("storage.backends.aws_sessions.sessions", Sessions())
    plain = dynamodb.driver(access_key_id=None, secret_access_key=None)
    role = dynamodb.driver(access_key_id=None, secret_access_key=None, role_arn=ROLE)
    for driver in (plain, role):
        with pytest.raises(BackendRejected, match="no AWS credentials"):
            driver.get(REF)


def role_config(dynamodb: DynamoDBLab, service: RoleService, **options: str) -> dict[str, str]:
    dynamodb.config(service.url)  # on the deployment's list
    other = {"access_key_id": "111111111111", "secret_access_key": "own", "role_arn": ROLE, "sts_endpoint": service.url}
    return other | options


def test_a_role_is_assumed_once_with_the_route_s_keys(dynamodb, misleading):
    dynamodb.prepared()
    with role_service(dynamodb.account) as service:
        driver = dynamodb.driver(**role_config(dynamodb, service, external_id="deal-7"))
        assert [driver.get(REF) for _ in range(3)] == [None] * 3
        [asked] = service.asked
    assert (asked["RoleArn"], asked["ExternalId"], asked["RoleSessionName"]) == (ROLE, "deal-7", "northstar")


def test_a_role_that_is_refused_is_told_without_what_was_answered(dynamodb):
    with role_service(dynamodb.account) as service:
        driver = dynamodb.driver(**role_config(dynamodb, service))
        with pytest.raises(BackendRejected, match=r"role cannot be assumed \(AccessDenied\)") as refusal:
            driver.get(REF)
    assert CANARY not in f"{refusal.value} {refusal.value.fix}"


@pytest.mark.line(152)
def test_no_secret_comes_out_of_errors_logs_or_reprs(dynamodb, caplog):
    caplog.set_level(logging.DEBUG)
    keys = {"access_key_id": f"{CANARY}-id", "secret_access_key": CANARY, "session_token": CANARY}
    config = dynamodb.config(**keys)
    told = [repr(config), str(config), config.model_dump_json()]
    with fault_proxy(dynamodb.account.endpoint.removeprefix("http://")) as proxy:
        driver = dynamodb.driver(proxy.url, **keys)
        faults = AwsFaults(driver.native().meta.events)
        told += [repr(driver), repr(vars(driver)), repr(driver.native())]
        for break_it in (
            lambda: faults.error("GetItem", "InvalidSignatureException", message=f"Canonical: token:{CANARY}"),
            lambda: faults.error("GetItem", "AccessDeniedException"),
            lambda: faults.error("GetItem", "ResourceNotFoundException"),
            proxy.reset,
            proxy.refuse,
        ):
            break_it()
            with pytest.raises((BackendRejected, BackendUnavailable)) as caught:
                guarded(driver).get(ref("k"))
            told += [str(caught.getrepr(showlocals=False)), str(caught.value.told()), caught.value.fix]
    assert CANARY not in "\n".join([*told, caplog.text])
    assert "botocore" not in caplog.text


@pytest.mark.line(147)
def test_an_error_carries_that_of_the_sdk_and_the_client_can_be_had(dynamodb):
    driver = dynamodb.driver()
    with pytest.raises(BackendRejected) as refusal:
        driver.get(REF)
    assert isinstance(refusal.value.__cause__, driver.native().exceptions.ResourceNotFoundException)


@pytest.mark.line(152)
def test_a_signature_s_refusal_does_not_carry_what_was_signed(dynamodb):
    driver = dynamodb.prepared()
    AwsFaults(driver.native().meta.events).error("GetItem", "SignatureDoesNotMatch")
    with pytest.raises(BackendRejected) as refusal:
        driver.get(REF)
    assert refusal.value.__cause__ is None
    assert refusal.value.__suppress_context__


def test_another_server_s_page_is_no_answer(dynamodb):
    with counting_http() as page:
        page.body = b"{}"
        driver = dynamodb.driver(f"http://{page.address}")
        with pytest.raises(BackendUnavailable, match="not DynamoDB"):
            driver.get(REF)
    assert page.calls == 1


def test_a_driver_builds_one_client_however_many_threads_ask(dynamodb):
    from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415

    driver = dynamodb.driver()
    with ThreadPoolExecutor(16) as pool:
        clients = set(pool.map(lambda _: id(driver.native()), range(64)))
    assert len(clients) == 1
    assert isinstance(driver.native().meta.events, BaseEventHooks)
