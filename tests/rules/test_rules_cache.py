"""The cache that processes share, over a real Redis: exact, each tenant's own, and never needed for a right answer."""

import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from decimal import Decimal
from typing import Any

import pytest
import redis
from django.core.cache import caches

from northstar.settings.base import rules_cache
from rules.cache import RulesCache
from rules.errors import CacheError
from rules.persistence import SHELF
from storage.keys import Scope
from storage.kinds import rules_knowledge
from storage.kinds.rules_knowledge import CACHE_WARNINGS, knowledge_of
from storage.kinds.rules_rows import CalculationRule
from storage.kinds.rules_store import RulesStore
from tests.rules.places import Place, place_on
from tests.rules.rules_contract import EXACT, match, rate, told
from tests.server import free_port
from tests.stack import servers

ACME = Scope("acme", "dev")
READS = 10_000
UNITS = 20
SOON_SECONDS = 30


def use_redis(settings: Any, url: str) -> None:
    settings.REDIS_URL = url
    settings.CACHES = {**settings.CACHES, "rules": rules_cache(url)}
    rules_knowledge.pause.until = 0.0


@pytest.fixture
def cache(settings, redis_url) -> Iterator[RulesCache]:
    use_redis(settings, redis_url)
    yield RulesCache(ACME)
    caches["rules"].close()


@pytest.fixture
def place(settings, tmp_path) -> Iterator[Place]:
    settings.NORTHSTAR_RULES_POLL_SECONDS = 3600.0
    with place_on("filesystem", {"base_dir": str(tmp_path / "var")}) as made:
        yield made


def cached(place: Place, **options: Any) -> RulesStore:
    rules = place.open(**options)
    return rules.with_cache(RulesCache(rules.scope, SHELF))


def forget(rules: RulesStore) -> None:
    """As a process that has asked for the revision and for nothing else."""
    snapshot = knowledge_of(rules._documents).snapshot
    assert snapshot is not None
    snapshot.sheets.clear()
    snapshot.answers.clear()


def test_a_value_comes_back_exactly_until_it_is_deleted_or_lapses(cache, redis_url):
    assert cache.get("totals") is None
    cache.setex("totals", 60, {"figures": EXACT, "list": [1, None, "x"], "big": 10**30})
    found = cache.get("totals")
    assert (told(found["figures"]), found["list"], found["big"]) == (told(EXACT), [1, None, "x"], 10**30)
    with redis.Redis.from_url(redis_url) as client:
        (key,) = client.keys()
        assert 0 < client.ttl(key) <= 60
    cache.delete("totals")
    cache.delete("totals")
    assert cache.get("totals") is None


def test_a_value_is_one_tenant_s_and_nobody_else_can_make_one_up(cache, redis_url):
    cache.setex("total", 60, Decimal("1.10"))
    assert RulesCache(Scope("globex", "dev")).get("total") is None
    assert RulesCache(Scope("acme", "prod")).get("total") is None
    assert RulesCache(ACME, SHELF).get("total") is None  # where rules lie: no agent's value is one
    with redis.Redis.from_url(redis_url) as client:
        (key,) = client.keys()
        sealed = client.get(key)
        client.set(key.replace(b"acme", b"globex"), sealed)
        assert RulesCache(Scope("globex", "dev")).get("total") is None
        client.set(key, sealed.replace(b"1.10", b"9.10"))
    assert cache.get("total") is None


@pytest.mark.parametrize(("ttl", "value"), [(0, 1), (60, object()), (60, Decimal("NaN"))])
def test_what_cannot_be_kept_is_refused(cache, ttl, value):
    with pytest.raises(CacheError):
        cache.setex("k", ttl, value)


def test_a_redis_that_is_away_is_told_in_our_words(settings):
    use_redis(settings, f"redis://127.0.0.1:{free_port()}/0")
    cache = RulesCache(ACME)
    for call in (lambda: cache.get("k"), lambda: cache.setex("k", 1, 1), lambda: cache.delete("k")):
        with pytest.raises(CacheError) as refusal:
            call()
        assert (refusal.value.code, refusal.value.retryable) == ("CACHE_UNAVAILABLE", True)
    caches["rules"].close()


def test_a_sheet_is_read_from_the_store_by_one_process_and_from_the_cache_by_the_others(cache, place):
    place.open().publish([match("0.50"), CalculationRule(rule_id="vest")], reason="seed")
    for expected in ("store", "cache"):
        process = place.process()
        rules = cached(place, on=process)
        rules.get_calculation_rule("acme-corp", "vest")
        assert rules.get_calculation_rule("bobs", "match").tier == expected
        assert rules.get_calculation_rule("bobs", "match").tier == "process"
        assert process.reads == (2 if expected == "store" else 1)
    place.open().publish([match("0.60")], reason="another revision is another key")
    assert rate(cached(place), "bobs") == "0.60"


def test_redis_killed_and_started_again_in_the_middle_of_many_reads_costs_no_wrong_answer_and_no_error(settings, place):
    names = [f"r{number}" for number in range(UNITS)]
    place.open().publish([CalculationRule(rule_id=name, name=name) for name in names], reason="seed")
    warned = CACHE_WARNINGS._value.get()
    wrong: list[str] = []
    done, stop = threading.Semaphore(0), threading.Event()
    with ExitStack() as first, ExitStack() as second:
        server = first.enter_context(servers.valkey())
        use_redis(settings, f"redis://{server.address}/0")
        stores = [cached(place) for _ in range(2)]
        for store in stores:
            store.get_calculation_rule("x", names[0])

        def read(store: RulesStore) -> None:
            for number in range(READS // 2):
                if number % UNITS == 0:
                    forget(store)
                name = names[number % UNITS]
                if store.get_calculation_rule("x", name).value.name != name:
                    wrong.append(name)
                done.release()
            stop.set()

        readers = [threading.Thread(target=read, args=(store,)) for store in stores]
        for reader in readers:
            reader.start()
        await_reads(done, READS // 10)
        first.close()
        await_reads(done, READS // 10)
        rules_knowledge.pause.until = 0.0
        second.enter_context(servers.valkey(server.port))
        for reader in readers:
            reader.join(SOON_SECONDS * 4)
        assert not any(reader.is_alive() for reader in readers)
        caches["rules"].close()
        rules_knowledge.pause.until = 0.0
        forget(stores[0])
        tiers = set()
        deadline = time.monotonic() + SOON_SECONDS
        while "cache" not in tiers and time.monotonic() < deadline:
            forget(stores[0])
            rules_knowledge.pause.until = 0.0
            tiers.add(stores[0].get_calculation_rule("x", "r1").tier)
        assert "cache" in tiers
        caches["rules"].close()
    assert wrong == []
    assert CACHE_WARNINGS._value.get() > warned


def await_reads(done: threading.Semaphore, count: int) -> None:
    for _ in range(count):
        assert done.acquire(timeout=SOON_SECONDS)
