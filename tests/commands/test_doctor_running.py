"""doctor on a deployment that runs: probes, processes, Redis, prices, second factors; each with its fix."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import time_machine
from allauth.mfa.models import Authenticator
from django.contrib.auth.models import User

from northstar.doctor import examine
from northstar.findings import ERROR, WARNING, Finding
from northstar.health_checks import HEALTH_CHECKS
from northstar.quickstart import ensure_filesystem_routes
from routing.costs import SHIPPED
from routing.health_models import RouteHealth, ServerProcess
from routing.models import OutboxEntry, Route, SnapshotRevision
from routing.operations.health import probe_due_routes
from routing.operations.processes import report_process
from routing.resolve import invalidate
from tests.server import free_port


@pytest.fixture
def healthy(acme) -> None:
    ensure_filesystem_routes("acme", "dev")
    User.objects.create_superuser("ada")
    OutboxEntry.objects.all().delete()


def running() -> list[Finding]:
    return [finding for check in HEALTH_CHECKS for finding in check()]


def only(level: str, subject: str) -> Finding:
    (finding,) = running()
    assert (finding.level, finding.subject.startswith(subject)) == (level, True), finding
    assert finding.fix
    return finding


def test_a_deployment_whose_probes_pass_and_whose_processes_are_current_has_no_finding(healthy):
    assert all(probed.report.ok for probed in probe_due_routes())
    report_process("streams")
    assert examine() == []


def test_a_failing_probe_is_an_error_with_the_fix_of_its_error(healthy):
    route = Route.objects.get(resource_kind="tabular_store")
    Route.objects.filter(pk=route.pk).update(config={"base_dir": "/outside"})
    invalidate()
    probe_due_routes()
    finding = only(ERROR, f"probe of route {route.pk}")
    assert "after these steps: none. FORBIDDEN_ENDPOINT" in finding.detail
    Route.objects.filter(pk=route.pk).update(enabled=False)
    assert running() == []


def test_a_process_that_stays_behind_is_an_error(healthy):
    report_process("streams")
    ServerProcess.objects.update(revision=0, seen_at=datetime.now(UTC))
    assert running() == []  # it may still be on its way
    ServerProcess.objects.update(seen_at=datetime.now(UTC) + timedelta(seconds=6))
    current = SnapshotRevision.objects.get().revision
    assert f"; {current} is current" in only(ERROR, "process ").detail


def test_web_workers_alone_are_not_enough(healthy):
    report_process("web")
    assert "deployment.md" in only(WARNING, "stream process").fix


def test_a_redis_that_is_away_is_a_warning_and_one_that_answers_is_none(healthy, settings, redis_url):
    settings.REDIS_URL = f"redis://127.0.0.1:{free_port()}/0"
    assert "polling" in only(WARNING, "REDIS_URL").detail
    settings.REDIS_URL = redis_url
    assert running() == []


def test_old_prices_of_backends_in_use_are_told(healthy, settings, tmp_path: Path):
    prices = [{**price, "backend_type": "filesystem"} for price in json.loads(SHIPPED.read_text())["prices"][-1:]]
    own = tmp_path / "prices.json"
    own.write_text(json.dumps({"currency": "USD", "prices": prices}))
    settings.NORTHSTAR_PRICES_FILE = str(own)
    with time_machine.travel("2026-06-01", tick=False):
        assert running() == []
    with time_machine.travel("2028-06-01", tick=False):
        assert "list prices of 2026" in only(WARNING, "prices of filesystem").detail
    own.write_text("{}")
    assert "NORTHSTAR_PRICES_FILE" in only(WARNING, "price table").fix


def test_staff_without_a_second_factor_is_told_where_the_rule_holds(healthy, settings):
    assert running() == []
    settings.NORTHSTAR_DEPLOYMENT = "production"
    assert "enrol" in only(WARNING, "user ada").fix
    Authenticator.objects.create(user=User.objects.get(), type=Authenticator.Type.TOTP, data={})
    assert running() == []


def test_doctor_changes_nothing(healthy):
    examine()
    assert not RouteHealth.objects.exists()
    assert not ServerProcess.objects.exists()
