"""conformance runs the contract's own suites on a real route, tells each line, and leaves nothing behind."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from northstar.management.commands import conformance
from tests.commands.clouds import CLOUDS, config_of
from tests.commands.conftest import PROJECT, SECONDS, document, run_manage
from tests.contract import route_blobs, route_documents
from tests.object_places import OBJECT_CLOUDS, object_config

TABLES = ("conformance", "--tenant", "t_demo", "--kind", "tabular_store")
BROKEN = """
import sys, django
django.setup()
from django.core.management import call_command
from storage.backends.filesystem import FilesystemDocuments
put = FilesystemDocuments.put
FilesystemDocuments.put = lambda self, ref, fields, *, expect, **options: put(self, ref, fields, **options)
call_command(*sys.argv[1:])
"""
PAYING = """
import sys, django
django.setup()
from django.core.management import call_command
from routing.changes import Cause, RouteDraft, create_route, create_tenant
from storage.registry import BACKENDS
from tests.routing.vault import VAULT
BACKENDS["vault"] = VAULT
create_tenant("initech", "Initech", "saas", Cause("test"))
create_route(RouteDraft(
    resource_kind="tabular_store", tenant_id="initech", backend_type="vault", config={"place": "here"}
), Cause("test"))
call_command("conformance", "--tenant", "initech", "--kind", "tabular_store")
"""
ROUTE = """
import json, sys, django
django.setup()
from routing.changes import Cause, RouteDraft, put_route
kind, backend, config = sys.argv[1:]
put_route(RouteDraft(
    resource_kind=kind, tenant_id="t_demo", env=backend.replace("_", "-"), backend_type=backend, config=json.loads(config)
), Cause("test"))
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lab with a demo tenant and its routes."""
    home = tmp_path_factory.mktemp("conformance") / "home"
    document(run_manage(home, "quickstart", "--format", "json"))
    return home


def _environment(home: Path) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "DJANGO_SETTINGS_MODULE": "northstar.settings.lab", "NORTHSTAR_HOME": str(home)}


def _script(home: Path, script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", script, *arguments],
        cwd=PROJECT,
        env=_environment(home),
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )


@contextmanager
def _under_way(home: Path) -> Iterator[subprocess.Popen[str]]:
    """A run of all lines, of which some have passed."""
    command = [sys.executable, "-u", "manage.py", *TABLES]
    with subprocess.Popen(command, cwd=PROJECT, env=_environment(home), stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        next(line for line in process.stdout if line.startswith("ok"))
        yield process
        process.stdout.read()


def _left(home: Path) -> list[str]:
    return [path.name for path in home.glob(".conformance-*")]


def test_the_lines_asked_for_are_run_and_told_and_nothing_is_left(home):
    done = run_manage(home, *TABLES, "--lines", "60-61,67", "--format", "json")
    seen = document(done)
    assert seen["ok"] is True
    assert {line: entry["verdict"] for line, entry in seen["lines"].items()} == {
        "60": "passed",
        "61": "passed",
        "67": "passed",
    }
    assert seen["backend_type"] == "filesystem"
    assert "ok\t60\t" in done.stderr
    assert _left(home) == []


def test_objects_are_tried_by_the_suites_of_objects(home):
    options = ("--tenant", "t_demo", "--kind", "object_store", "--lines", "6")
    assert document(run_manage(home, "conformance", *options, "--format", "json"))["lines"]["6"]["passed"] == 4
    assert _left(home) == []


@pytest.mark.parametrize("backend", CLOUDS)
def test_a_cloud_route_is_tried_on_its_own_service_and_left_as_it_was(home, request, backend):
    assert _script(home, ROUTE, "tabular_store", backend, json.dumps(config_of(request, backend))).returncode == 0
    assert document(run_manage(home, "routes", "prepare", "--env", backend, "--format", "json"))["ok"]
    options = (*TABLES, "--env", backend, "--format", "json")
    done = run_manage(home, *options, "--lines", "10-11,47,60,67-72")
    assert {entry["verdict"] for entry in document(done)["lines"].values()} == {"passed"}
    assert document(run_manage(home, *options, "--clean"))["cleaned"] == []


@pytest.mark.parametrize("backend", OBJECT_CLOUDS)
def test_a_route_of_objects_in_a_cloud_is_tried_there_presigned_urls_included(home, request, backend):
    env = backend.replace("_", "-")
    assert _script(home, ROUTE, "object_store", backend, json.dumps(object_config(request, backend))).returncode == 0
    assert document(run_manage(home, "routes", "prepare", "--env", env, "--format", "json"))["ok"]
    options = ("conformance", "--tenant", "t_demo", "--kind", "object_store", "--env", env, "--format", "json")
    done = run_manage(home, *options, "--lines", "13,100,104,113,119")
    assert {entry["verdict"] for entry in document(done)["lines"].values()} == {"passed"}
    assert document(run_manage(home, *options, "--clean"))["cleaned"] == []


def test_presigned_urls_of_a_route_that_we_serve_ourselves_are_told_to_be_skipped(home):
    options = ("conformance", "--tenant", "t_demo", "--kind", "object_store", "--lines", "118", "--format", "json")
    entry = document(run_manage(home, *options))["lines"]["118"]
    assert entry["verdict"] == "skipped"
    assert all(reason.startswith("capability: the service takes no presigned requests") for reason in entry["skipped"])


def test_a_line_that_fails_is_exit_code_one_with_what_was_seen(home):
    done = _script(home, BROKEN, *TABLES, "--lines", "38", "--format", "json")
    seen = json.loads(done.stdout)
    assert (done.returncode, seen["ok"], seen["lines"]["38"]["verdict"]) == (1, False, "failed")
    assert seen["failures"][0]["test"].startswith("TestWrites::test_")
    assert seen["failures"][0]["detail"]
    assert _left(home) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_run_that_is_interrupted_is_cleaned_up_after(home, number):
    with _under_way(home) as process:
        process.send_signal(number)
    assert (process.returncode, _left(home)) == (130, [])


def test_what_a_killed_run_has_left_is_removed_on_request(home):
    with _under_way(home) as process:
        process.kill()
    [left] = _left(home)
    cleaned = document(run_manage(home, *TABLES, "--clean", "--format", "json"))
    assert cleaned["cleaned"] == [left.removeprefix(".conformance-")]
    assert _left(home) == []


def test_a_tenant_that_pays_is_not_tried_without_a_yes(home):
    done = _script(home, PAYING)
    assert done.returncode == 1
    assert "initech is in mode saas" in done.stderr
    assert "--yes" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--lines", "900"), "No test of tabular_store stands for these lines."),
        (("--lines", "27-"), "no list of lines"),
        (("--env", "moon"), "No route configured for tabular_store in t_demo/moon."),
        (("--tenant", "nobody"), "There is no tenant 'nobody'."),
    ],
)
def test_what_cannot_be_run_is_refused_in_words(home, arguments, said):
    done = run_manage(home, *TABLES, *arguments)
    assert done.returncode != 0
    assert said in done.stderr


def test_without_pytest_it_says_what_to_install(monkeypatch):
    monkeypatch.setattr(conformance, "is_installed", lambda module: module != "pytest")
    with pytest.raises(CommandError, match=r"pip install .*requirements/dev.txt"):
        call_command(*TABLES)


def test_the_tests_of_each_line_are_listed_without_running_them(home):
    done = run_manage(home, *TABLES, "--lines", "60", "--list")
    assert done.stdout == "60\tTestExpiry::test_an_expired_document_is_absent_at_once_everywhere\n"


@pytest.mark.parametrize(("suites", "of"), [(route_documents, "document"), (route_blobs, "blob")])
def test_the_suites_of_a_route_are_all_those_of_the_contract(suites, of):
    found = Path(suites.__file__).parent.glob(f"{of}_contract*.py")
    names = [path.stem for path in found if not path.stem.endswith("_faults")]  # whose network is not ours to break
    modules = [import_module(f"tests.contract.{name}") for name in names]
    contract = {entry for module in modules for name, entry in vars(module).items() if name.endswith("Contract")}
    tried = {base for entry in vars(suites).values() if isinstance(entry, type) for base in entry.__bases__}
    assert tried >= contract
    assert len(contract) >= 4
