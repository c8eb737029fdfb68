"""quickstart makes a lab from nothing, and a second run changes nothing."""

import json
import shlex
import stat
from argparse import ArgumentParser
from base64 import b64encode
from concurrent.futures import ThreadPoolExecutor

import pytest

from storage.registry import KINDS
from tests.commands.conftest import document
from tests.server import running_server

PRODUCTION = {
    "DJANGO_SETTINGS_MODULE": "northstar.settings.production",
    "NORTHSTAR_SECRET_KEY": "s" * 60,
    "NORTHSTAR_ENCRYPTION_KEYS": "k1:" + b64encode(b"k" * 32).decode(),
    "ALLOWED_HOSTS": "northstar.example",
}
FIELDS = {"url", "tenant_id", "api_key", "operator_key", "admin_user", "admin_password"}


def _lab(manage, question: str, **settings: str):
    """Ask the home's own database, through Django."""
    return json.loads(manage("shell", "--no-imports", "-c", f"import json\n{question}", **settings).stdout)


def _changes(manage):
    return _lab(manage, "from routing.models import RouteChange\nprint(RouteChange.objects.count())")


def test_the_json_form_is_exactly_one_object_with_the_credentials(manage):
    credentials = document(manage("quickstart", "--format", "json", PORT="18123"))
    assert set(credentials) == FIELDS
    assert all(credentials.values())
    assert credentials["url"] == "http://127.0.0.1:18123"
    assert (credentials["tenant_id"], credentials["admin_user"]) == ("t_demo", "admin")


def test_a_second_run_prints_the_same_credentials_and_changes_nothing(manage):
    first = document(manage("quickstart", "--format", "json"))
    changes = _changes(manage)
    assert document(manage("quickstart", "--format", "json")) == first
    assert _changes(manage) == changes


def test_runs_at_the_same_time_agree(manage):
    with ThreadPoolExecutor(2) as pool:
        one, other = pool.map(lambda _: document(manage("quickstart", "--format", "json")), range(2))
    assert one == other


def test_every_kind_has_a_filesystem_route_for_those_who_have_use_for_it(manage):
    document(manage("quickstart", "--format", "json"))
    routes = _lab(
        manage,
        "from routing.models import Route\n"
        "print(json.dumps([list(row) for row in Route.objects.values_list("
        "'tenant_id', 'env', 'resource_kind', 'backend_type')]))",
    )
    kinds = [name for name, kind in KINDS.items() if not kind.of_system]
    expected = [["t_demo", "dev", kind, "filesystem"] for kind in kinds]
    expected += [["t_system", "dev", kind, "filesystem"] for kind in KINDS]
    assert sorted(routes) == expected


def test_a_new_lab_is_mirrored_in_its_registry_and_its_trail_anchored(manage):
    document(manage("quickstart", "--format", "json"))
    question = (
        "from routing.operations.registry import open_registry\n"
        "from routing.operations.verification import verify_trail\n"
        "print(json.dumps([sorted(entry.name for entry in open_registry().load_all()), verify_trail().anchored]))"
    )
    names, anchored = _lab(manage, question)
    assert "routing_registry_store#t_system#dev" in names
    assert len(names) == 2 * len(KINDS) - 1
    assert anchored > len(names)


def test_the_credentials_are_kept_for_their_owner_alone(manage, tmp_path):
    document(manage("quickstart", "--format", "json"))
    kept = tmp_path / "home" / "quickstart.json"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600


def test_credentials_that_do_not_work_any_more_are_replaced_and_it_says_so(manage):
    first = document(manage("quickstart", "--format", "json"))
    manage("apikey", "revoke", first["api_key"])
    done = manage("quickstart", "--format", "json")
    second = document(done)
    assert second["api_key"] != first["api_key"]
    assert {**second, "api_key": ""} == {**first, "api_key": ""}
    assert "API key of t_demo" in done.stderr


def test_a_changed_route_is_left_alone(manage):
    document(manage("quickstart", "--format", "json"))
    _lab(
        manage,
        "from routing.changes import Cause, RouteUpdate, update_route\n"
        "from routing.models import Route\n"
        "route = Route.objects.get(tenant='t_demo', resource_kind='object_store')\n"
        "update_route(route.pk, RouteUpdate(config={'base_dir': 'elsewhere'}), Cause('user:ada'))\n"
        "print(1)",
    )
    changes = _changes(manage)
    document(manage("quickstart", "--format", "json"))
    assert _changes(manage) == changes


def test_the_text_form_shows_where_to_go_and_three_commands_to_paste(manage):
    credentials = document(manage("quickstart", "--format", "json"))
    done = manage("quickstart")
    assert done.returncode == 0
    for shown in ("/admin/", "/api/docs", credentials["admin_password"], credentials["api_key"]):
        assert shown in done.stdout
    examples = [line for line in done.stdout.splitlines() if line.startswith("curl ")]
    assert len(examples) == 3
    assert all(credentials["api_key"] in line for line in examples)


def test_no_secret_is_logged(manage):
    done = manage("quickstart", "--format", "json")
    credentials = document(done)
    for name in ("api_key", "operator_key", "admin_password"):
        assert credentials[name] not in done.stderr


@pytest.mark.server
def test_the_printed_commands_work_when_pasted(manage, tmp_path):
    home = tmp_path / "served"
    with running_server(home) as server:
        done = manage("quickstart", "--url", server.url, NORTHSTAR_HOME=str(home))
        for line in [line for line in done.stdout.splitlines() if line.startswith("curl ")]:
            status, answer = _send(server, line)
            assert status in {200, 201}
            assert "error_code" not in answer


def _send(server, line: str):
    """Send what the curl command would send."""
    options = ArgumentParser()
    options.add_argument("-sS", action="store_true")
    options.add_argument("-X", default=None)
    options.add_argument("-H", action="append")
    options.add_argument("-d", default=None)
    options.add_argument("url")
    given = options.parse_args(shlex.split(line)[1:])
    headers = dict(header.split(": ", 1) for header in given.H)
    body = given.d.encode() if given.d else None
    path = given.url.removeprefix(server.url)
    status, _, answer = server.request(given.X or ("POST" if body else "GET"), path, body, headers=headers)
    return status, json.loads(answer)


def test_outside_of_a_lab_secrets_are_shown_once_and_there_is_no_demo_tenant(manage):
    first = document(manage("quickstart", "--format", "json", **PRODUCTION))
    assert (first["tenant_id"], first["api_key"]) == (None, None)
    assert first["operator_key"]
    assert first["admin_password"]
    done = manage("quickstart", "--format", "json", **PRODUCTION)
    second = document(done)
    assert second == {**first, "operator_key": None, "admin_password": None}
    assert "changepassword admin" in done.stderr
    assert "apikey create --tenant t_system" in done.stderr


def test_outside_of_a_lab_nothing_is_kept_and_no_route_is_made(manage, tmp_path):
    document(manage("quickstart", "--format", "json", **PRODUCTION))
    assert not (tmp_path / "home" / "quickstart.json").exists()
    question = (
        "from routing.models import Route, Tenant\nprint(json.dumps([Route.objects.count(), Tenant.objects.count()]))"
    )
    assert _lab(manage, question, **PRODUCTION) == [0, 1]


def test_a_home_that_cannot_be_made_is_an_error_without_a_trace(manage, tmp_path):
    (tmp_path / "file").write_text("in the way")
    done = manage("quickstart", NORTHSTAR_HOME=str(tmp_path / "file" / "home"))
    assert done.returncode == 1
    assert "NORTHSTAR_HOME" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_setting_that_is_missing_is_named_without_a_trace(manage):
    done = manage("quickstart", **{**PRODUCTION, "NORTHSTAR_SECRET_KEY": ""})
    assert done.returncode == 1
    assert "NORTHSTAR_SECRET_KEY is not set" in done.stderr
    assert "Traceback" not in done.stderr
