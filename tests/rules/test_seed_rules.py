"""seed_rules loads everything once, changes nothing the second time, and keeps what somebody has changed."""

import json
from decimal import Decimal
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from northstar.context import RequestContext
from routing.changes import RouteDraft, create_route
from storage.kinds.rules_errors import RuleNotFoundError
from storage.kinds.rules_rows import Figure
from storage.opening import open_store
from tests.conftest import CAUSE

PLAN = "DEFAULT_BiWeeklyFri"


@pytest.fixture
def rules_routes(acme, globex, lab) -> None:
    for tenant in (acme, globex):
        draft = RouteDraft(
            resource_kind="rules_store", tenant_id=tenant.tenant_id, env="dev", backend_type="filesystem"
        )
        create_route(draft, CAUSE)


def seed(*options: str) -> Any:
    out = StringIO()
    call_command("seed_rules", "--tenant", "acme", "--format", "json", *options, stdout=out, stderr=StringIO())
    return json.loads(out.getvalue())


def rules_of(tenant: str):
    return open_store("rules_store", RequestContext(tenant, "dev", "lab", actor="test"))


def written(document: dict) -> dict[str, int]:
    return {part["part"]: len(part["written"]) for part in document["parts"]}


def test_everything_is_loaded_once_and_for_this_tenant_alone(rules_routes):
    first, second = seed(), seed()
    assert first["changed"] is True
    assert written(first) == {part["part"]: part["rows"] for part in first["parts"]}
    assert second["changed"] is False
    assert set(written(second).values()) == {0}
    assert second["revision"] == first["revision"] == 4
    steps = rules_of("acme").get_pipeline(PLAN).value
    assert [step.number for step in steps] == [100 * number for number in range(1, 27)]
    with pytest.raises(RuleNotFoundError):
        rules_of("globex").get_pipeline(PLAN)


def test_a_dry_run_writes_nothing(rules_routes):
    assert set(written(seed("--dry-run")).values()) != {0}
    assert rules_of("acme").rules_revision() == 0


def test_what_somebody_has_changed_is_kept_until_it_is_to_be_replaced(rules_routes):
    seed()
    store = rules_of("acme")
    rule = store.get_calculation_rule("any", "APPROVAL").value
    own = rule.model_copy(update={"figures": {**rule.figures, "two_from": Figure(value=Decimal("1000.50"))}})
    store.publish([own], reason="We look closer.")
    store.save_agent_config("intake-agent", {"timeout": 5})
    kept = seed()
    assert kept["changed"] is False
    assert [name for part in kept["parts"] for name in part["kept"]] == [
        "calculation GLOBAL APPROVAL from 2024-01-01",
        "intake-agent",
    ]
    assert store.get_calculation_rule("any", "APPROVAL").value.figures["two_from"].value == Decimal("1000.50")
    assert seed("--replace")["changed"] is True
    assert store.get_calculation_rule("any", "APPROVAL").value.figures["two_from"].value == Decimal(250000)
    assert seed("--replace")["changed"] is False


def test_a_client_gets_a_pipeline_and_rules_of_its_own(rules_routes):
    seed("--client", "northwind")
    store = rules_of("acme")
    assert store.get_pipeline(PLAN, client_id="northwind").owner == "northwind_BiWeeklyFri"
    own, others = (store.get_calculation_rule(client, "MATCH") for client in ("northwind", "contoso"))
    assert (own.resolved_from, others.resolved_from) == ("CLIENT", "GLOBAL")
    assert store.get_validation_rules("northwind", "division").resolved_from == "CLIENT"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--table-suffix=-test"], "--endpoint-url"),
        (["--tenant", "nobody"], "no tenant nobody"),
        (["--env", "prod"], "No route configured for rules_store in acme/prod"),
        (["--client", "a#b"], "none of them '#'"),
        (["--client", "GLOBAL"], "name a client"),
        (["--endpoint-url", "http://192.0.2.1"], "NORTHSTAR_ALLOWED_ENDPOINTS"),
    ],
)
def test_what_cannot_be_done_is_refused_with_its_fix(rules_routes, options, said):
    with pytest.raises(CommandError, match=said):
        seed(*options)


def test_a_person_is_told_what_was_done(rules_routes):
    def told() -> str:
        out = StringIO()
        call_command("seed_rules", "--tenant", "acme", stdout=out)
        return out.getvalue()

    assert "rows written. Revision 4 is in force." in told()
    assert "Nothing to do: revision 4 has all of it." in told()
