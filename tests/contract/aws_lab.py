"""What the tests of every AWS driver share: an environment that leads elsewhere, and a service that hands out a role's keys."""

from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import parse_qs

import pytest

from tests.server import HOST
from tests.stack.fixtures import AwsAccount

CANARY = "canary-7f3a-secret"
ROLE = "arn:aws:iam::123456789012:role/northstar"
ELSEWHERE = "http://127.0.0.1:9"


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
        "AWS_ENDPOINT_URL_S3": ELSEWHERE,
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
