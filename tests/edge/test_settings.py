"""Deployments: a lab makes its own secrets once, production refuses to guess."""

import os
import re
import stat
import subprocess
import sys
from base64 import b64encode
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured

from northstar.settings.sources import encryption_keys
from tests.server import PROJECT

SHOW = (
    "from django.conf import settings as s; print(s.SECRET_KEY, sorted(s.NORTHSTAR_ENCRYPTION_KEYS.items()), s.DEBUG)"
)
GOOD = {
    "NORTHSTAR_SECRET_KEY": "x" * 64,
    "NORTHSTAR_ENCRYPTION_KEYS": "k1:" + b64encode(b"1" * 32).decode(),
    "ALLOWED_HOSTS": "northstar.example",
}


def run(code: str, settings: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=PROJECT,
        env={"PATH": os.environ["PATH"], "DJANGO_SETTINGS_MODULE": f"northstar.settings.{settings}", **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_processes_that_start_a_lab_at_once_share_its_secrets(tmp_path):
    with ThreadPoolExecutor(6) as pool:
        shown = list(pool.map(lambda _: run(SHOW, "lab", NORTHSTAR_HOME=str(tmp_path / "home")), range(6)))
    assert [done.returncode for done in shown] == [0] * 6
    assert len({done.stdout for done in shown}) == 1
    assert shown[0].stdout.endswith("False\n")


def test_a_labs_secrets_are_for_its_owner_alone(tmp_path):
    assert run(SHOW, "lab", NORTHSTAR_HOME=str(tmp_path)).returncode == 0
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in Path(tmp_path).iterdir()}
    assert modes == {"secret_key": 0o600, "encryption_keys": 0o600}


@pytest.mark.parametrize("missing", sorted(GOOD))
def test_production_names_the_variable_that_is_missing(missing):
    done = run(SHOW, "production", **{name: value for name, value in GOOD.items() if name != missing})
    assert done.returncode != 0
    assert f"{missing} is not set" in done.stderr


def test_production_starts_with_what_it_needs():
    done = run(SHOW, "production", **GOOD)
    assert done.returncode == 0, done.stderr


def test_production_allows_no_filesystem_root_unless_told_so():
    done = run("from django.conf import settings; print(settings.NORTHSTAR_ALLOWED_ROOTS)", "production", **GOOD)
    assert done.stdout == "[]\n"


@pytest.mark.parametrize(
    "text", ["k1", "k1:", "k1:short", "k.1:" + "A" * 44, "k1:" + b64encode(b"1" * 31).decode(), "a:!!!", ":" + "A" * 44]
)
def test_a_bad_encryption_key_is_refused_without_being_shown(text):
    with pytest.raises(ImproperlyConfigured) as refused:
        encryption_keys(text)
    assert "NORTHSTAR_ENCRYPTION_KEYS" in str(refused.value)
    assert "AAAA" not in str(refused.value).replace(text.partition(":")[0], "")


def test_the_first_encryption_key_is_the_one_that_seals():
    ring = encryption_keys(f"new:{b64encode(b'2' * 32).decode()}, old:{b64encode(b'1' * 32).decode()}")
    assert list(ring) == ["new", "old"]


def test_two_keys_of_one_id_are_refused():
    key = b64encode(b"1" * 32).decode()
    with pytest.raises(ImproperlyConfigured):
        encryption_keys(f"a:{key},a:{key}")


def test_the_deployment_check_finds_nothing_in_production():
    code = (
        "from django.core.management import execute_from_command_line as go;"
        "go(['manage.py', 'check', '--deploy', '--fail-level', 'WARNING'])"
    )
    done = run(code, "check")
    assert done.returncode == 0, done.stderr


def test_postgresql_is_chosen_by_its_address_alone():
    code = "from django.conf import settings; print(settings.DATABASES['default']['ENGINE'])"
    done = run(code, "production", **GOOD, DATABASE_URL="postgres://u:p@db.example/northstar")
    assert done.stdout == "django.db.backends.postgresql\n"


def test_sqlite_takes_its_write_lock_at_once_and_keeps_a_log(tmp_path):
    code = (
        "import django; django.setup(); from django.db import connection as c; k = c.cursor();"
        "print([k.execute(f'PRAGMA {p}').fetchone()[0] for p in ('journal_mode', 'synchronous')], c.transaction_mode)"
    )
    done = run(code, "lab", NORTHSTAR_HOME=str(tmp_path))
    assert done.stdout == "['wal', 1] IMMEDIATE\n", done.stderr


@pytest.mark.parametrize("port", ["abc", "0", "65536", "-1"])
def test_a_port_that_no_server_can_listen_at_is_refused_without_a_trace(tmp_path, port):
    done = subprocess.run(
        [sys.executable, "manage.py", "doctor"],
        cwd=PROJECT,
        env={"PATH": os.environ["PATH"], "NORTHSTAR_HOME": str(tmp_path), "PORT": port},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("Wrong settings: PORT is ")
    assert "Traceback" not in done.stderr


def test_a_home_below_the_users_own_folder_may_be_written_with_a_tilde(tmp_path):
    code = "from django.conf import settings as s; print(s.NORTHSTAR_HOME)"
    assert run(code, "lab", HOME=str(tmp_path), NORTHSTAR_HOME="~/state").stdout.strip() == f"{tmp_path}/state"


def test_every_variable_is_described():
    sources = "".join(path.read_text() for path in (PROJECT / "northstar" / "settings").glob("*.py"))
    reads = re.compile(r'(?:env\.\w+|required|origins)\(\s*(?:env, )?"([A-Z_]+)"')
    read = set(reads.findall(sources)) - {"NORTHSTAR_TEST_HOMES"}
    described = set(re.findall(r"^\| `([A-Z_]+)` \|", (PROJECT / "docs" / "settings.md").read_text(), re.MULTILINE))
    assert read == described
