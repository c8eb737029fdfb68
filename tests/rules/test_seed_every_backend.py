"""The seed goes into a rules store on every document backend, and comes back to the digit."""

from decimal import Decimal

import pytest

from rules.seeding import parts_of, put
from rules.seeds.reading import read_seed
from tests.api.test_every_backend import CONFIGS
from tests.rules.places import place_on


@pytest.mark.parametrize("backend", CONFIGS)
def test_what_was_seeded_is_read_back_to_the_digit_and_a_second_seed_finds_nothing_to_do(request, backend):
    seed = read_seed()
    parts = parts_of(seed, None)
    with place_on(backend, CONFIGS[backend](request)) as place:
        store = place.open()
        for _ in put(store, parts):
            pass
        reader = place.open()
        assert len(reader.get_pipeline("DEFAULT_BiWeeklyFri").value) == 26
        for year in ("2024", "2025", "2026"):
            figures = {one.code: one.figure.value for one in reader.get_irs_limits(int(year)).value if one.figure}
            wanted = {limit.code: seed.limits.figure(limit.code, year) for limit in seed.limits.limits}
            assert {code: str(figure) for code, figure in figures.items()} == {
                code: str(figure) for code, figure in wanted.items() if figure is not None
            }
        assert figures["SOCIAL_SECURITY_MAX_EMPLOYEE_TAX"] == Decimal("11439.00")
        assert [one.written for one in put(reader, parts)] == [()] * len(parts)
