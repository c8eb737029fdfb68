"""seed_rules --endpoint-url makes and fills the eight tables at an address, whatever route the tenant has."""

import json
from io import StringIO
from typing import Any

import boto3
import pytest
from django.core.management import call_command

from tests.commands.conftest import run_manage

pytestmark = pytest.mark.server

TABLES = [
    "agent-config",
    "audit-log",
    "batch-state",
    "calculation-rules",
    "irs-limits",
    "processing-pipeline",
    "processing-results",
    "validation-rules",
]


@pytest.fixture
def client(aws_account):
    """The vendor's own SDK, as an operator looks at the tables."""
    client = boto3.client(
        "dynamodb",
        endpoint_url=aws_account.endpoint,
        region_name=aws_account.region,
        aws_access_key_id=aws_account.access_key,
        aws_secret_access_key=aws_account.secret_key,
    )
    yield client
    client.close()


def test_eight_tables_are_made_and_filled_once(acme, lab, aws_account, client):
    def seed() -> Any:
        out, err = StringIO(), StringIO()
        call_command(
            "seed_rules",
            "--tenant=acme",
            "--format=json",
            "--table-suffix=-test",
            f"--endpoint-url={aws_account.endpoint}",
            f"--config=region={aws_account.region}",
            f"--config=access_key_id={aws_account.access_key}",
            f"--config=secret_access_key={aws_account.secret_key}",
            stdout=out,
            stderr=err,
        )
        assert aws_account.secret_key not in out.getvalue() + err.getvalue()
        return json.loads(out.getvalue())

    first, second = seed(), seed()
    assert (first["changed"], second["changed"]) == (True, False)
    assert client.list_tables()["TableNames"] == [f"bluestar-{name}-test" for name in TABLES]
    found = client.scan(TableName="bluestar-processing-pipeline-test")["Items"]
    rows = {item["sk"]["S"]: item["pk"]["S"] for item in found if item["sk"]["S"].startswith("STEP#")}
    assert sorted(rows) == [f"STEP#{100 * number:04d}" for number in range(1, 27)]
    assert {pk.rpartition("#")[2] for pk in rows.values()} == {"DEFAULT_BiWeeklyFri"}


def test_a_suffix_begins_with_a_dash_on_a_command_line_too(tmp_path):
    done = run_manage(tmp_path / "home", "seed_rules", "--table-suffix", "-test")
    assert (done.returncode, done.stderr.strip()) == (
        1,
        "CommandError: --table-suffix and --config describe a DynamoDB: name it with --endpoint-url.",
    )
