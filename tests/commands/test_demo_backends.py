"""demo --backend does the main job with the documents on a cloud service, and leaves no route that leads to it."""

from functools import partial
from io import StringIO
from pathlib import Path

import pytest
from django.core.management.base import OutputWrapper

from northstar.console import Out
from northstar.demo.backends import data_on, other_backend
from northstar.demo.report import Report
from northstar.demo.stage import OTHER_TENANT
from northstar.modes import LAB
from northstar.quickstart import DEMO_TENANT, ensure_tenant
from routing.models import Route
from tests.commands.clouds import CLOUDS, config_of
from tests.commands.conftest import Run, document, run_manage
from tests.object_places import OBJECT_CLOUDS, object_config

pytestmark = pytest.mark.server
SECRET_FIELDS = ("key=", "secret_access_key=", "account_key=", "connection_string=", "service_account=")


@pytest.fixture
def options(request: pytest.FixtureRequest, backend: str) -> list[str]:
    """How the demo is told where the backend is."""
    config = object_config(request, backend) if backend in OBJECT_CLOUDS else config_of(request, backend)
    fields = [part for name, value in config.items() if name != "endpoint" for part in ("--config", f"{name}={value}")]
    return ["--backend", backend, "--endpoint", config["endpoint"], *fields]


def _secrets(options: list[str]) -> list[str]:
    return [text.partition("=")[2] for text in options if text.startswith(SECRET_FIELDS)]


@pytest.fixture
def manage(tmp_path: Path) -> Run:
    return partial(run_manage, tmp_path / "home")


@pytest.mark.parametrize("backend", [*CLOUDS, *OBJECT_CLOUDS])
def test_every_promise_holds_on_the_backend_and_no_route_leads_there_afterwards(manage, backend, options):
    done = manage("demo", "--format", "json", *options)
    played = document(done)
    assert played["ok"], [check for check in played["checks"] if not check["ok"]]
    what = "Objects" if backend in OBJECT_CLOUDS else "Documents"
    assert f"{what} of t_demo/demo-{backend.replace('_', '-')} go to" in done.stderr
    assert not any(secret in done.stdout + done.stderr for secret in _secrets(options))
    checked = document(manage("routes", "check", "--format", "json"))
    assert {route["backend_type"] for route in checked["routes"]} == {"filesystem"}
    assert document(manage("doctor", "--format", "json"))["findings"] == []


@pytest.mark.parametrize("keep", [True, False])
def test_the_routes_stay_on_the_backend_only_when_they_are_to_be_kept(lab, db, aws_account, keep):
    (lab / "secrets").mkdir()
    (lab / "secrets" / "demo").write_text(aws_account.secret_key)
    keys = {"access_key_id": aws_account.access_key, "secret_access_key": "file:demo"}
    backend = other_backend("dynamodb", aws_account.endpoint, {"region": aws_account.region, **keys})
    for tenant in (DEMO_TENANT, OTHER_TENANT):
        ensure_tenant(tenant, tenant, LAB)
    with data_on(backend, Report(Out(OutputWrapper(StringIO()))), keep=keep) as env:
        assert _document_backends(env) == {"dynamodb"}
        assert aws_account.secret_key not in str(list(Route.objects.values()))
    assert _document_backends(env) == {"dynamodb" if keep else "filesystem"}


def _document_backends(env: str) -> set[str]:
    routes = Route.objects.filter(env=env, tenant_id=DEMO_TENANT).exclude(resource_kind="object_store")
    return set(routes.values_list("backend_type", flat=True))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--endpoint", "http://127.0.0.1:1"], "name it with --backend"),
        (["--backend", "dynamodb", "--config", "secret_access_key:canary"], "write it as key=value"),
        (["--backend", "dynamodb", "--config", "colour=canary"], "config.colour: There is no such field. There are: "),
        (["--backend", "dynamodb", "--endpoint", "http://127.0.0.1:1"], "config.region: Field required. Correct"),
        (["--backend", "dynamodb", "--endpoint", "http://192.0.2.1", "--config", "region=eu-west-1"], "endpoint"),
    ],
)
def test_a_backend_that_is_told_wrongly_is_refused_in_words(manage, arguments, said):
    done = manage("demo", *arguments)
    assert done.returncode != 0
    assert said in done.stderr
    assert "canary" not in done.stderr
