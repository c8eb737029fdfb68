"""Nothing secret is ever logged, wherever in a line it stands."""

import json
import logging
import os
import subprocess
import sys

import pytest

from northstar.logs import redact, redact_text
from tests.server import PROJECT

CANARY = "canary5f1d7c3a"
TOKEN = "ns_abcdefghijkl_" + "0123456789abcdef" * 4

LEAKS = [
    f"Authorization: Bearer {CANARY}",
    f"authorization=Basic {CANARY}",
    f"https://user:{CANARY}@store.example/x",
    f"https://store.example/?sig={CANARY}&x=1",
    f"AccountKey={CANARY};EndpointSuffix=x",
    f"password={CANARY}",
    f"{{'secret_key': '{CANARY}'}}",
    f'{{"api_key": "{CANARY}"}}',
    f"X-Amz-Signature={CANARY}&y",
    f"aws_secret_access_key = {CANARY}",
    f"token: {CANARY}",
    f"PUT /api/v1/storage/presigned/.eJx:{CANARY} HTTP/1.1",
]


@pytest.mark.parametrize("text", LEAKS)
def test_a_secret_in_a_text_is_masked(text):
    assert CANARY not in redact_text(text)


def test_a_token_is_masked_but_its_id_stays():
    assert redact_text(f"key {TOKEN} used") == "key ns_abcdefghijkl_**** used"


@pytest.mark.parametrize(
    "name", ["Authorization", "password", "aws_secret_access_key", "api_key", "connection_string", "Cookie"]
)
def test_a_member_whose_name_tells_of_a_secret_is_masked(name):
    assert CANARY not in str(redact({"outer": [{name: {"deep": CANARY}}], "b": (1, None)}))


def test_ordinary_values_stay():
    plain = {"a": 1, "b": [None, True, 1.5], "route": "acme/dev", "key": "reports/2026/q1.pdf"}
    assert redact(plain) == plain


PROGRAM = """
import logging, sys
from northstar import logs
import structlog
canary = sys.argv[2]  # not in the source: a trace shows its lines
logs.configure(readable=sys.argv[1] == "readable")
log = structlog.get_logger("northstar.test")
structlog.contextvars.bind_contextvars(request_id="req-1", tenant="acme")
log.info("happened", authorization="Bearer " + canary, config={"password": canary}, note="token=" + canary)
logging.getLogger("foreign.library").warning("calling https://u:%s@host with password=%s", canary, canary)
def fails(password):
    raise ValueError("cannot log in with password=" + password)
try:
    fails(canary)
except ValueError:
    log.exception("failed")
    logging.getLogger("foreign").exception("failed too")
"""


@pytest.mark.parametrize("form", ["readable", "json"])
def test_no_canary_reaches_the_log(form):
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, form, CANARY],
        cwd=PROJECT,
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=True,
    )
    assert CANARY not in done.stderr + done.stdout
    assert done.stdout == ""
    assert done.stderr.count("req-1") >= 4
    assert "ValueError" in done.stderr


@pytest.mark.parametrize(
    "sdk", ["azure.cosmos._cosmos_http_logging_policy", "botocore.endpoint", "urllib3.connectionpool"]
)
def test_an_sdk_tells_nothing_of_its_requests(sdk):
    script = (
        f"import logging, northstar.logs as logs; logs.configure(readable=True); logging.getLogger({sdk!r}).info('x')"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=PROJECT, capture_output=True, text=True, check=True)
    assert done.stderr == ""


def test_production_lines_are_json_with_request_and_tenant():
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, "json", CANARY],
        cwd=PROJECT,
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=True,
    )
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    assert {(line["request_id"], line["tenant"]) for line in lines} == {("req-1", "acme")}


def test_a_request_leaves_no_token_in_the_log(edge, caplog):
    with caplog.at_level(logging.DEBUG):
        edge.get(f"orders?limit=1&prefix={TOKEN}")
        edge.get("fails/UNKNOWN")
    secret = edge._headers["Authorization"].rpartition("_")[2]
    assert all(secret not in record.getMessage() for record in caplog.records)
