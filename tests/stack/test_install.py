"""The servers are installed from locks, into a folder of their own, and cost nothing to tests that use none."""

import json
import subprocess
import sys
from pathlib import Path

from tests.server import PROJECT
from tests.stack.servers import HOME_VARIABLE

SDKS = "{'boto3', 'botocore', 'google.cloud', 'azure', 'grpc'}"


def python(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments], check=False, cwd=PROJECT, env=environment, capture_output=True, text=True
    )


def test_a_folder_with_other_things_in_it_is_not_emptied(tmp_path: Path):
    (tmp_path / "thesis.txt").write_text("years of work")
    refused = python("make.py", "servers", **{HOME_VARIABLE: str(tmp_path)})
    assert refused.returncode == 1
    assert "holds other files" in refused.stderr
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


def test_the_lock_of_npm_carries_hashes_and_no_addresses():
    text = (PROJECT / "tests/stack/npm/package-lock.json").read_text()
    packages = json.loads(text)["packages"]
    assert all(package["integrity"].startswith("sha512-") for name, package in packages.items() if name)
    assert "://" not in text


def test_a_run_without_servers_loads_no_sdk_for_them():
    loaded = python("-c", f"import sys, tests.stack.fixtures; sys.exit(bool({SDKS} & set(sys.modules)))")
    assert loaded.returncode == 0, loaded.stderr
