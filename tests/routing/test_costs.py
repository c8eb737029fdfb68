"""Cost estimates: counted units times dated prices, each with its source; what is not known is said, never guessed."""

import json
from decimal import Decimal
from pathlib import Path

import pytest
import time_machine

from northstar.errors import InvalidConfig
from routing.costs import SHIPPED, estimate, price_table
from storage.registry import BACKENDS
from storage.usage import USAGE_MEASURES


def test_units_times_prices_make_the_amount_and_each_figure_names_its_source():
    cost = estimate("dynamodb", {"read_units": 2_000_000, "write_units": 500_000, "operations": 7})
    assert cost.amount == Decimal("0.25") + Decimal("0.3125")
    assert [line.count for line in cost.lines] == [2_000_000, 500_000]
    assert {line.price.date for line in cost.lines} == {"2025-07-21"}
    assert "Not included: storage" in cost.reason


def test_unused_backends_cost_nothing_and_say_at_which_prices():
    cost = estimate("s3", {})
    assert cost.amount == 0
    assert len(cost.lines) == 2


def test_what_has_no_price_is_said_and_not_guessed():
    assert estimate("cosmos", {"documents_read": 10}).amount is None
    assert "request units" in estimate("cosmos", {}).reason
    assert estimate("vault", {}).amount is None
    assert estimate("vault", {}).reason == "The price table says nothing of vault."


def test_files_on_the_servers_own_disk_cost_nothing():
    assert estimate("filesystem", {"bytes_in": 10**12}).amount == 0


def test_the_shipped_table_speaks_of_every_backend_and_of_measures_that_are_counted():
    table = price_table()
    spoken = [*table.prices, *table.unknown, *table.free]
    assert {entry.backend_type for entry in spoken} == {*BACKENDS} - {"bank", "vault", "weak"}  # those of these tests
    assert {price.measure for price in table.prices} <= set(USAGE_MEASURES)
    assert all(price.source for price in table.prices)


def test_a_deployment_may_bring_prices_of_its_own(settings, tmp_path: Path):
    table = json.loads(SHIPPED.read_text())
    own = [{**price, "price": "1", "per": 1} for price in table["prices"] if price["backend_type"] == "s3"]
    path = tmp_path / "prices.json"
    path.write_text(json.dumps({"currency": "EUR", "prices": own}))
    settings.NORTHSTAR_PRICES_FILE = str(path)
    cost = estimate("s3", {"object_reads": 3})
    assert cost.currency == "EUR"
    assert cost.amount == 3


@pytest.mark.parametrize(
    "content", ["", "[]", '{"currency": "USD"}', '{"currency": "USD", "prices": [{"price": "x"}]}']
)
def test_a_price_table_that_is_none_is_an_error_with_a_fix(settings, tmp_path: Path, content):
    path = tmp_path / "prices.json"
    path.write_text(content)
    settings.NORTHSTAR_PRICES_FILE = str(path)
    with pytest.raises(InvalidConfig) as refused:
        estimate("s3", {})
    assert "NORTHSTAR_PRICES_FILE" in refused.value.fix


def test_a_price_has_an_age_as_far_as_its_source_has_a_date():
    prices = {price.backend_type: price for price in price_table().prices}
    with time_machine.travel("2026-03-01", tick=False):
        assert prices["firestore"].age_days() == 2220  # since February 2020 began
        assert prices["s3"].age_days() == 59
        assert prices["gcs"].age_days() is None
