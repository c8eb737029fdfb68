"""The SDK's clients: nothing but the route's config says where they go and as whom, and no secret comes out of them."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import parse_qs

import pytest
from botocore.hooks import BaseEventHooks

from storage.backends.aws_sessions import Sessions
from storage.backends.dynamodb_config import DynamoDBConfig
from storage.documents import Ref
from storage.errors import BackendRejected, BackendUnavailable
from tests.contract.document_contract import ref, stored
from tests.contract.dynamodb_lab import DynamoDBLab, guarded
from tests.server import HOST
from tests.stack.aws_faults import AwsFaults
from tests.stack.counting import counting_http
from tests.stack.fault_proxy import fault_proxy
from tests.stack.fixtures import AwsAccount

backend = "dynamodb (MiniStack)"
REF = Ref("contract", ("acme", "orders"), "k")
CANARY = "canary-7f3a-secret"
ROLE = "arn:aws:iam::123456789012:role/northstar"
ELSEWHERE = "http://127.0.0.1:9"


@pytest.fixture
def dynamodb(aws_account: AwsAccount, settings) -> Iterator[DynamoDBLab]:
    lab = DynamoDBLab(aws_account, settings)
    yield lab
    lab.close()


@pytest.fixture
def misleading(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An environment and files of the SDK that lead elsewhere, as globex."""
    files = tmp_path / "aws"
    files.mkdir()
    (files / "config").write_text(
        f"[default]\nregion = ap-south-1\nendpoint_url = {ELSEWHERE}\nmax_attempts = 9\nretry_mode = legacy\n"
    )
    (files / "credentials").write_text("[default]\naws_access_key_id = globex\naws_secret_access_key = globex\n")
    variables = {
        "AWS_ACCESS_KEY_ID": "999999999999",
        "AWS_SECRET_ACCESS_KEY": "globex",
        "AWS_SESSION_TOKEN": "globex",
        "AWS_CONFIG_FILE": str(files / "config"),
        "AWS_SHARED_CREDENTIALS_FILE": str(files / "credentials"),
        "AWS_PROFILE": "missing",
        "AWS_REGION": "ap-south-1",
        "AWS_DEFAULT_REGION": "ap-south-1",
        "AWS_ENDPOINT_URL": ELSEWHERE,
        "AWS_ENDPOINT_URL_DYNAMODB": ELSEWHERE,
        "AWS_MAX_ATTEMPTS": "9",
        "AWS_RETRY_MODE": "adaptive",
        "AWS_DEFAULTS_MODE": "mobile",
        "AWS_USE_FIPS_ENDPOINT": "true",
        "AWS_USE_DUALSTACK_ENDPOINT": "true",
        "AWS_ACCOUNT_ID_ENDPOINT_MODE": "required",
        "HTTP_PROXY": ELSEWHERE,
        "http_proxy": ELSEWHERE,
    }
    for name, value in variables.items():
        monkeypatch.setenv(name, value)


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


class RoleService:
    """AWS's Security Token Service, as far as AssumeRole goes: it hands out the keys of an account, or refuses."""

    def __init__(self, account: AwsAccount) -> None:
        self.account = account
        self.asked: list[dict[str, str]] = []
        self.url = ""

    def answer(self, body: str) -> tuple[int, str]:
        self.asked.append({name: values[0] for name, values in parse_qs(body).items()})
        if "ExternalId" not in body:
            return (
                403,
                f"<ErrorResponse><Error><Code>AccessDenied</Code><Message>{CANARY}</Message></Error></ErrorResponse>",
            )
        keys = f"<AccessKeyId>{self.account.access_key}</AccessKeyId><SecretAccessKey>{CANARY}</SecretAccessKey>"
        ends = f"<SessionToken>{CANARY}</SessionToken><Expiration>2100-01-01T00:00:00Z</Expiration>"
        given = f"<Credentials>{keys}{ends}</Credentials>"
        return 200, f"<AssumeRoleResponse><AssumeRoleResult>{given}</AssumeRoleResult></AssumeRoleResponse>"


@contextmanager
def role_service(account: AwsAccount) -> Iterator[RoleService]:
    service = RoleService(account)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            status, text = service.answer(self.rfile.read(int(self.headers["Content-Length"])).decode())
            self.send_response(status)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text.encode())

        def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
            pass

    server = ThreadingHTTPServer((HOST, 0), Handler)
    Thread(target=server.serve_forever, args=(0.01,)).start()
    service.url = f"http://{HOST}:{server.server_port}"
    try:
        yield service
    finally:
        server.shutdown()
        server.server_close()


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
