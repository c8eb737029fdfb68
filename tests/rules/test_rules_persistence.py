"""create_persistence wires rules, cache and files from a context's routes; a number passes through all of them unharmed."""

import json
import time
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from django.core.cache import caches

from northstar import propagation
from northstar.context import RequestContext
from northstar.errors import NoRouteConfigured
from northstar.settings.base import rules_cache
from rules.persistence import Persistence, create_persistence
from rules.protocols import Cache, Files, Rules
from storage.kinds import rules_knowledge
from storage.kinds.rules_knowledge import rules_published
from storage.kinds.rules_rows import ROWS
from storage.opening import close_adapters
from tests.conftest import Api, filesystem_routes, token
from tests.rules.rules_contract import EXACT, match, rate
from tests.rules.test_rules_cache import forget

CONTEXT = RequestContext("acme", "dev", "lab", actor="command:test")
SOON_SECONDS = 30


@pytest.fixture
def shared(settings, redis_url) -> Iterator[None]:
    settings.REDIS_URL = redis_url
    settings.CACHES = {**settings.CACHES, "rules": rules_cache(redis_url)}
    settings.NORTHSTAR_RULES_POLL_SECONDS = 3600.0
    rules_knowledge.pause.until = 0.0
    yield
    caches["rules"].close()


def typed(persistence: Persistence) -> tuple[Rules, Cache, Files]:
    """The type checker proves here that the real ones are what agents may rely on."""
    rules: Rules = persistence.rules
    cache: Cache = persistence.cache
    files: Files = persistence.files
    return rules, cache, files


def test_the_three_are_wired_from_the_routes_and_a_missing_one_is_told(acme):
    with pytest.raises(NoRouteConfigured):
        create_persistence(CONTEXT)
    filesystem_routes(acme)
    rules, cache, files = typed(create_persistence(CONTEXT))
    rules.publish([match("0.50")], reason="seed")
    cache.setex("k", 60, Decimal("1.10"))
    files.write("a.txt", "a")
    assert (rate(rules), repr(cache.get("k")), files.read("a.txt")) == ("0.50", "Decimal('1.10')", b"a")


def test_a_number_is_the_same_in_the_file_the_store_redis_and_the_answer(acme, shared):
    filesystem_routes(acme)
    first = create_persistence(CONTEXT)
    row = {"rule_id": "exact", "figures": {name: {"value": str(number)} for name, number in EXACT.items()}}
    first.files.write("seeds/exact.json", json.dumps({"kind": "calculation", **row}))
    read: dict[str, Any] = json.loads(first.files.read("seeds/exact.json"))
    first.rules.publish([ROWS[read["kind"]].model_validate(read)], reason="from the file")
    first.rules.get_calculation_rule("GLOBAL", "exact")  # the store's, with the head
    forget(first.rules)
    assert first.rules.get_calculation_rule("GLOBAL", "exact").tier == "store"  # now Redis has it
    forget(first.rules)
    answer = Api(token(acme)).get("storage/rules/calculation/exact").json()
    assert answer["cache_tier"] == "cache"
    found = {name: repr(Decimal(figure["value"])) for name, figure in answer["rule"]["figures"].items()}
    assert found == {name: repr(number) for name, number in EXACT.items()}


def test_a_change_in_another_process_is_seen_within_the_poll_interval(acme, settings):
    settings.NORTHSTAR_RULES_POLL_SECONDS = 0.05
    filesystem_routes(acme)
    reader = create_persistence(CONTEXT).rules
    assert reader.publish([match("0.50")], reason="seed").changed
    assert rate(reader) == "0.50"
    close_adapters()  # the next store has a driver, and so a knowledge, of its own
    create_persistence(CONTEXT).rules.publish([match("0.60")], reason="elsewhere")
    deadline = time.monotonic() + SOON_SECONDS
    while rate(reader) != "0.60":
        assert time.monotonic() < deadline


def test_a_notice_of_another_process_makes_readers_look_at_once(acme, settings):
    settings.NORTHSTAR_RULES_POLL_SECONDS = 3600.0
    filesystem_routes(acme)
    reader = create_persistence(CONTEXT).rules
    reader.publish([match("0.50")], reason="seed")
    rate(reader)
    close_adapters()
    heard: list[Any] = []

    def hear(*, scope: Any, **_signal: Any) -> None:
        heard.append(scope)

    rules_published.connect(hear)
    try:
        create_persistence(CONTEXT).rules.publish([match("0.60")], reason="elsewhere")
    finally:
        rules_published.disconnect(hear)
    assert rate(reader) == "0.50"
    (scope,) = heard
    propagation._look_at_rules(json.dumps([scope.tenant, scope.env, scope.project, scope.surface]))
    propagation._look_at_rules("of another release")
    assert rate(reader, day=date(2026, 1, 1)) == "0.60"
