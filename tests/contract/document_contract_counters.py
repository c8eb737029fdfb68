"""The document contract, for any backend: counters (lines 34, 132, 133, 136)."""

from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import pytest

from storage.documents import Totals
from storage.errors import CeilingReached, FloorReached, InvalidValue
from tests.contract.document_contract import ref, stored
from tests.contract.document_contract_values import exact


class DocumentCounterContract:
    """An increment is one atomic step, exact and within its bounds, however many do it at once."""

    @pytest.mark.line(34)
    def test_what_is_missing_starts_at_zero(self, documents):
        first = documents.increment(ref("k"), {"n": 2})
        assert first == Totals({"n": 2}, stored(documents, "k").version)
        second = documents.increment(ref("k"), {"m": -1, "n": 0})
        assert second == Totals({"m": -1, "n": 2}, stored(documents, "k").version)
        assert first.version < second.version
        assert stored(documents, "k").fields == {"n": 2, "m": -1}

    @pytest.mark.line(24, 34)
    @pytest.mark.parametrize(
        ("start", "delta", "total"),
        [
            (1, 2, 3),
            (1, 0.5, 1.5),
            (1.0, 1, 2.0),
            (2**60, 1, 2**60 + 1),
            (1, Decimal("0.10"), Decimal("1.10")),
            (Decimal("0.1"), Decimal("0.2"), Decimal("0.3")),
            (Decimal("99999999999999999999999999999999999.99"), Decimal("0.01"), Decimal(10**35)),
        ],
    )
    def test_a_sum_is_exact_and_of_the_wider_type(self, documents, start, delta, total):
        documents.put(ref("k"), {"n": start})
        assert exact(documents.increment(ref("k"), {"n": delta}).values) == exact({"n": total})
        assert exact(stored(documents, "k").fields) == exact({"n": total})

    @pytest.mark.line(34)
    @pytest.mark.parametrize(
        ("start", "delta"),
        [("1", 1), (None, 1), (True, 1), ([], 1), (1, True), (1, "1"), (1.5, Decimal(1)), (Decimal(1), 0.5)],
    )
    def test_what_has_no_exact_sum_is_refused(self, documents, start, delta):
        documents.put(ref("k"), {"n": start, "m": 1})
        with pytest.raises(InvalidValue, match="n "):
            documents.increment(ref("k"), {"m": 1, "n": delta})
        assert exact(stored(documents, "k").fields) == exact({"n": start, "m": 1})

    @pytest.mark.line(34)
    def test_an_increment_leaves_other_fields_alone(self, documents):
        documents.put(ref("k"), {"name": "a", "list": [1], "n": 1})
        documents.increment(ref("k"), {"n": 1})
        assert stored(documents, "k").fields == {"name": "a", "list": [1], "n": 2}

    @pytest.mark.line(133)
    def test_a_ceiling_refuses_the_whole_increment_and_tells_the_numbers(self, documents):
        documents.increment(ref("k"), {"n": 9, "m": 1})
        assert documents.increment(ref("k"), {"n": 1}, ceilings={"n": 10}).values == {"n": 10}
        with pytest.raises(CeilingReached) as refusal:
            documents.increment(ref("k"), {"m": 1, "n": 1}, ceilings={"n": 10})
        assert (refusal.value.field, refusal.value.used, refusal.value.limit) == ("n", 10, 10)
        assert stored(documents, "k").fields == {"n": 10, "m": 1}

    @pytest.mark.line(136)
    def test_a_floor_refuses_the_whole_decrement_and_tells_the_numbers(self, documents):
        documents.increment(ref("k"), {"n": Decimal("0.3")})
        assert documents.increment(ref("k"), {"n": Decimal("-0.3")}, floors={"n": 0}).values == {"n": Decimal("0.0")}
        with pytest.raises(FloorReached) as refusal:
            documents.increment(ref("k"), {"n": Decimal("-0.1")}, floors={"n": 0})
        assert (refusal.value.field, refusal.value.used, refusal.value.limit) == ("n", 0, 0)
        with pytest.raises(FloorReached):
            documents.increment(ref("new"), {"n": -1}, floors={"n": 0})
        assert documents.get(ref("new")) is None

    @pytest.mark.line(132)
    def test_32_threads_with_200_increments_make_the_exact_sum(self, documents):
        def count(_: int) -> None:
            for _ in range(200):
                documents.increment(ref("k"), {"n": 1, "money": Decimal("0.01")})

        with ThreadPoolExecutor(32) as pool:
            list(pool.map(count, range(32)))
        document = stored(documents, "k")
        assert document.fields == {"n": 6400, "money": Decimal("64.00")}

    @pytest.mark.line(133)
    @pytest.mark.parametrize(("step", "limit"), [(7, 100), (Decimal("0.07"), Decimal(1))])
    def test_under_contention_exactly_as_many_as_fit_succeed(self, documents, step, limit):
        def spend(_: int) -> bool:
            try:
                documents.increment(ref("k"), {"n": step}, ceilings={"n": limit})
            except CeilingReached:
                return False
            return True

        with ThreadPoolExecutor(16) as pool:
            spent = list(pool.map(spend, range(64)))
        assert spent.count(True) == limit // step
        assert stored(documents, "k").fields == {"n": step * (limit // step)}

    @pytest.mark.line(136)
    def test_under_contention_nothing_falls_below_its_floor(self, documents):
        documents.put(ref("k"), {"n": 20})

        def refund(_: int) -> bool:
            try:
                documents.increment(ref("k"), {"n": -3}, floors={"n": 0})
            except FloorReached:
                return False
            return True

        with ThreadPoolExecutor(16) as pool:
            assert list(pool.map(refund, range(32))).count(True) == 6
        assert stored(documents, "k").fields == {"n": 2}
