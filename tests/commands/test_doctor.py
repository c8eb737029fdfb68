"""doctor names what would stop a request, and what to do about it."""

import json
from datetime import UTC, datetime, timedelta
from io import StringIO
from threading import Barrier

import pytest
import time_machine
from django.contrib.auth.models import User
from django.core.management import call_command

from northstar import doctor
from northstar.doctor import ERROR, WARNING, Finding, examine
from northstar.quickstart import ensure_filesystem_routes
from routing.keys import issue_key
from routing.models import OutboxEntry, Route, SnapshotRevision, Tenant
from routing.operations.relay import relay_outbox
from routing.resolve import invalidate
from storage.blobs import BlobPage
from storage.registry import BACKENDS
from tests.conftest import CAUSE
from tests.routing.vault import VAULT


@pytest.fixture
def healthy(acme) -> None:
    ensure_filesystem_routes("acme", "dev")
    User.objects.create_superuser("ada")
    OutboxEntry.objects.all().delete()


def _force(**values: object) -> int:
    """Change a route's row behind everybody's back, and return its id."""
    Route.objects.filter(resource_kind="tabular_store").update(**values)
    invalidate()
    return Route.objects.get(resource_kind="tabular_store").pk


def _one(level: str, part: str) -> Finding:
    (finding,) = [finding for finding in examine() if part in f"{finding.subject} {finding.detail}"]
    assert finding.level == level
    assert finding.fix
    return finding


def test_a_healthy_deployment_has_no_finding(healthy):
    out = StringIO()
    call_command("doctor", stdout=out)
    assert examine() == []
    assert out.getvalue() == "Nothing would stop a request.\n"


def test_an_error_ends_with_exit_code_one_and_a_fix(healthy):
    _force(backend_type="floppy")
    out = StringIO()
    with pytest.raises(SystemExit) as stopped:
        call_command("doctor", stdout=out)
    assert stopped.value.code == 1
    assert "Fix: Use one of:" in out.getvalue()


def test_warnings_alone_end_with_exit_code_zero_and_the_json_form_is_one_object(healthy, globex):
    out = StringIO()
    call_command("doctor", "--format", "json", stdout=out)
    document = json.loads(out.getvalue())
    assert document["ok"] is True
    assert [finding["level"] for finding in document["findings"]] == [WARNING]


def test_a_tenant_without_any_route_is_named(healthy, globex):
    assert "Create it for globex/dev" in _one(WARNING, "tenant globex").fix


def test_a_kind_without_an_enabled_route_is_named(healthy):
    _force(enabled=False)
    finding = _one(WARNING, "acme/dev")
    assert "tabular_store" in finding.detail
    assert "object_store" not in finding.detail


def test_a_route_on_an_unknown_backend_is_an_error(healthy):
    route = _force(backend_type="floppy")
    assert "UNSUPPORTED_BACKEND" in _one(ERROR, f"route {route}").detail


def test_a_filesystem_route_of_a_sellable_tenant_is_an_error(healthy):
    Tenant.objects.filter(pk="acme").update(mode="saas")
    invalidate()
    assert "FORBIDDEN_BACKEND_CLASS" in _one(ERROR, "tabular_store").detail


def test_a_config_that_fits_no_more_is_an_error_naming_the_field(healthy):
    route = _force(config={"colour": "blue"})
    finding = _one(ERROR, f"route {route}")
    assert "INVALID_CONFIG" in finding.detail
    assert "config.colour" in finding.detail


def test_a_backend_that_does_not_answer_is_an_error(healthy, settings):
    (settings.NORTHSTAR_HOME / "taken").write_text("a file where the folder should be")
    route = _force(config={"base_dir": "taken"})
    assert _one(ERROR, f"route {route}").subject.endswith("(tabular_store in acme/dev on filesystem)")


def test_a_service_that_is_away_is_no_fault_of_the_route(healthy):
    nowhere = {"region": "eu-west-1", "endpoint": "http://127.0.0.1:1", "access_key_id": "a", "secret_access_key": "b"}
    route = _force(backend_type="dynamodb", config=nowhere)
    finding = _one(ERROR, f"route {route}")
    assert "BACKEND_UNAVAILABLE" in finding.detail
    assert "the server goes on by itself" in finding.fix


def test_routes_are_asked_all_at_once(healthy, monkeypatch):
    together = Barrier(Route.objects.count(), timeout=10)
    monkeypatch.setattr(doctor, "_ping", lambda *_route: together.wait() and None)
    assert examine() == []


def test_a_secret_that_its_reference_does_not_lead_to_is_an_error(healthy, monkeypatch):
    monkeypatch.setitem(BACKENDS, "vault", VAULT)
    reference = "env:NORTHSTAR_SECRET_NOWHERE"
    route = _force(backend_type="vault", config={"place": "here", "password": {"$secret": reference}})
    assert f"The secret {reference} is not set here" in _one(ERROR, f"route {route}").detail


def test_events_that_wait_are_counted_with_since_when_and_why(healthy, globex):
    Route.objects.filter(resource_kind="event_stream").delete()
    ensure_filesystem_routes("globex", "dev")
    Route.objects.filter(resource_kind="event_stream").delete()
    invalidate()
    relay_outbox()
    early = datetime(2026, 1, 2, 3, 4, tzinfo=UTC)
    waiting = OutboxEntry.objects.filter(tenant_id="globex")
    waiting.update(created_at=early)
    finding = _one(WARNING, "outbox to tenant_timeline of globex/dev")
    assert f"{waiting.count()} control-plane events wait since 2026-01-02 03:04 UTC" in finding.detail
    assert "NO_ROUTE_CONFIGURED" in finding.detail


def test_events_of_the_system_tenant_are_said_to_wait_for_its_dev_route_too(healthy):
    ensure_filesystem_routes("acme", "prod")
    OutboxEntry.objects.update(created_at=datetime(2026, 1, 2, tzinfo=UTC))
    fix = _one(WARNING, "outbox to routing of t_system/prod").fix
    assert "Make sure that t_system/dev, or else t_system/prod, has an event_stream route" in fix


def test_an_event_that_was_only_just_written_is_no_finding(healthy):
    ensure_filesystem_routes("acme", "prod")
    assert examine() == []


def test_a_broken_audit_chain_is_an_error(healthy):
    SnapshotRevision.objects.update(audit_head="0" * 64)
    assert "backup" in _one(ERROR, "The hash chain is broken").fix


def test_nobody_who_can_log_in_is_a_warning(healthy):
    User.objects.update(is_active=False)
    assert "createsuperuser" in _one(WARNING, "admin user").fix


def test_a_key_that_expires_soon_is_a_warning_and_one_that_lives_on_is_none(healthy):
    now = datetime.now(UTC)
    soon, _ = issue_key("acme", "soon", ["data:read"], cause=CAUSE, expires_at=now + timedelta(days=3))
    issue_key("acme", "later", ["data:read"], cause=CAUSE, expires_at=now + timedelta(days=90))
    assert soon.key_id in _one(WARNING, "API key").subject


def test_a_clock_behind_the_newest_change_is_a_warning(healthy):
    with time_machine.travel(datetime.now(UTC) + timedelta(hours=1)):
        issue_key("acme", "from the future", ["data:read"], cause=CAUSE)
    assert "NTP" in _one(WARNING, "clock").fix


def test_a_missing_home_is_an_error(healthy, settings, tmp_path):
    settings.NORTHSTAR_HOME = tmp_path / "nowhere"
    assert "quickstart" in _one(ERROR, "NORTHSTAR_HOME").fix


@pytest.mark.parametrize(("deployment", "level"), [("lab", WARNING), ("production", ERROR)])
def test_insecure_settings_are_worse_in_production(settings, deployment, level):
    settings.NORTHSTAR_DEPLOYMENT = deployment
    settings.DEBUG = True
    settings.ALLOWED_HOSTS = ["*"]
    found = [finding for finding in doctor._settings() if finding.subject == "settings"]
    assert [finding.level for finding in found] == [level, level]


def test_pending_migrations_are_an_error_and_nothing_else_is_asked(manage):
    done = manage("doctor", "--format", "json")
    findings = json.loads(done.stdout)["findings"]
    assert done.returncode == 1
    assert [finding["subject"] for finding in findings] == ["database"]
    assert findings[0]["fix"] == "Run `python manage.py migrate`."


def test_objects_that_no_key_can_name_are_told_with_their_route(healthy, monkeypatch):
    page = BlobPage((), foreign=("a//b", "trailing/", "..", "back\\slash"))
    monkeypatch.setattr("storage.backends.local_files.LocalBlobs.list", lambda *_args, **_options: page)
    finding = _one(WARNING, "object_store in acme/dev on filesystem")
    assert "4 objects" in finding.detail
    assert "'a//b', 'trailing/', '..', …" in finding.detail
