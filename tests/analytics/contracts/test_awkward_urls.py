"""The frozen list of awkward URLs: each gets exactly the findings that its trap deserves, at the place where it is set."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from analytics.contracts.findings import CODES
from analytics.contracts.seeds import ACTIVE, DRAFTS
from analytics.contracts.validating import validate_url
from tests.analytics.contracts.cast import shipped

CASES: list[dict[str, Any]] = json.loads((Path(__file__).parent / "awkward_urls.json").read_bytes())
CONTRACTS = {platform: shipped(platform) for platform in (*ACTIVE, *DRAFTS)}

ELSEWHERE = {"field_forbidden", "value_too_short", "url_too_long"}
"""Codes that no shipped contract gives, or no list can hold: `test_validating.py` has them."""


@pytest.mark.parametrize("platform", CONTRACTS)
def test_every_awkward_url_gets_the_right_fields_and_codes_in_the_right_places(platform):
    for case in (one for one in CASES if one["platform"] == platform):
        found = validate_url(CONTRACTS[platform], case["url"], case["phase"]).findings
        told = sorted((one.field, one.code) for one in found)
        assert told == sorted((field, code) for field, code, _ in case["expected"]), case
        for finding in found:
            assert (finding.hint, finding.severity) != ("", ""), case
            places = [at for field, code, at in case["expected"] if (field, code) == (finding.field, finding.code)]
            assert any(stands_at(case["url"], finding.position, place) for place in places), (case, finding)


def stands_at(url: str, position: int | None, text: str | None) -> bool:
    return position is None if text is None else position is not None and url[position:].startswith(text)


def test_the_list_has_each_trap_twice_at_least_and_every_platform():
    assert len(CASES) >= 200
    assert {case["platform"] for case in CASES} == set(CONTRACTS)
    codes = Counter(code for case in CASES for _, code, _ in case["expected"])
    assert {code for code in CODES if codes[code] < 2} - ELSEWHERE == set()
