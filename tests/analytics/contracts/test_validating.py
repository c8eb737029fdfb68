"""What the validator promises beyond the frozen list: raw and normalised, rules of tenants, generated templates, linear time."""

import time
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from analytics.contracts.compiled import CompiledContract
from analytics.contracts.model import Rules
from analytics.contracts.parameters import UTM_FIELDS
from analytics.contracts.patterns import BadPattern, compile_pattern
from analytics.contracts.seeds import ACTIVE, DRAFTS, seed
from analytics.contracts.templates import expand, generate
from analytics.contracts.urls import URL_CHARACTERS, parse_url
from analytics.contracts.validating import validate_fields, validate_url
from tests.analytics.contracts.cast import contract, shipped

CONTRACTS = {platform: shipped(platform) for platform in (*ACTIVE, *DRAFTS)}
WORDS = st.lists(st.text("abhopsAZ019", min_size=1, max_size=6).map(lambda tail: f"w{tail}"), min_size=1, max_size=4)
NAMES = st.builds(lambda words, between: between.join(words), WORDS, st.sampled_from(" _-.")).filter(
    lambda name: "shop" not in name.lower()
)
"""What people call campaigns and ads; one about a shop counts in another channel."""
IDS = st.integers(1, 2**63 - 1).map(str)


@pytest.mark.parametrize("platform", CONTRACTS)
@settings(max_examples=25)
@given(data=st.data())
def test_a_generated_template_is_clean_and_so_is_every_landing_that_it_leads_to(platform, data):
    judged = CONTRACTS[platform]
    template = generate(judged)
    assert template.findings == ()

    def fill(name: str, rule: Any) -> str:
        numbers = name.lower().endswith("id") or (rule is not None and rule.charset)
        filled: str = data.draw(IDS if numbers else NAMES)
        return filled

    landing = expand(judged, template.template, fill)
    assert validate_url(judged, landing, "landing").findings == (), landing
    assert validate_url(judged, expand(judged, template.suffix, fill), "landing").findings == ()


def test_a_template_takes_values_of_its_maker_and_says_what_is_wrong_with_them():
    made = generate(CONTRACTS["twitter"], {"utm_campaign": "launch week"}, "https://acme.com/?a=1")
    assert made.template.endswith("?a=1&utm_source=twitter&utm_medium=paid_social&utm_campaign=launch%20week")
    assert made.findings == ()
    wrong = generate(CONTRACTS["google_ads"], {"utm_campaign": "{campaignname}"})
    assert [one.code for one in wrong.findings] == ["misspelt_macro"]


def test_nothing_is_repaired_silently():
    url = "https://acme.com/?UTM_Source=FB&utm_medium=paid_social%20&utm_campaign=Spring%2520Sale"
    report = validate_url(CONTRACTS["facebook"], url, "landing")
    assert report.raw == {"utm_source": "FB", "utm_medium": "paid_social ", "utm_campaign": "Spring%20Sale"}
    assert report.normalised == {
        "utm_source": "facebook",
        "utm_medium": "paid_social",
        "utm_campaign": "Spring Sale",
    }
    assert {(one.field, one.rewrite) for one in report.rewrites} == {
        ("utm_source", "key_not_lowercase"),
        ("utm_source", "alias_used"),
        ("utm_medium", "outer_whitespace"),
        ("utm_campaign", "double_encoding"),
    }
    assert report.channel.name == "Paid Social"


def test_click_ids_are_kept_byte_for_byte():
    value = "Ab%2B-_~xYz+1"
    report = validate_url(CONTRACTS["google_ads"], f"https://acme.com/?gclid={value}&gbraid=0AAAA", "landing")
    assert report.clicks == {"gclid": "Ab+-_~xYz+1", "gbraid": "0AAAA"}


def test_what_is_wrong_with_fields_by_name_stands_at_its_place_in_the_value():
    report = validate_fields(CONTRACTS["google_ads"], {"utm_source": "google", "utm_campaign": "a\u200bb"}, "landing")
    places = {one.code: one.position for one in report.findings}
    assert places["invisible_character"] == 1
    assert places["field_missing"] is None


def rules(**parts: Any) -> Rules:
    return Rules.model_validate(parts)


STRICT = rules(
    fields=[
        {"field": "utm_source", "presence": "required", "kind": "enum", "values": [{"value": "News"}], "case": "exact"},
        {"field": "utm_medium", "kind": "free", "min_length": 5, "max_length": 6, "severity": "warn", "hint": "short"},
        {"field": "utm_campaign", "kind": "pattern", "pattern": "[a-z]{2}_[0-9]{4}", "case": "lower"},
        {"field": "utm_content", "presence": "forbidden"},
        {
            "field": "utm_term",
            "presence": "required_if",
            "required_if": {"field": "utm_medium", "values": ["email"]},
            "max_occurrences": 2,
        },
    ],
    other_fields="forbid",
    cross_fields=[
        {
            "id": "term-needs-campaign",
            "kind": "implies",
            "when": {"field": "utm_term"},
            "then": {"field": "utm_campaign", "values": ["de_2026", "fr_2026"]},
        },
        {
            "id": "not-both",
            "kind": "excludes",
            "when": {"field": "utm_term"},
            "then": {"field": "utm_medium", "values": ["letter"]},
        },
    ],
    severities={"ambiguous_plus": "off", "duplicate_key": "error"},
    own_hosts=["acme.com"],
)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("utm_source=News&utm_campaign=de_2026", []),
        ("utm_source=news", ["utm_source case_mismatch error"]),
        ("utm_source=News&utm_medium=mail", ["utm_medium value_too_short warn"]),
        ("utm_source=News&utm_medium=newsletter", ["utm_medium value_too_long warn"]),
        ("utm_source=News&utm_campaign=de_26x", ["utm_campaign pattern_mismatch error"]),
        ("utm_source=News&utm_campaign=DE_2026", ["utm_campaign case_mismatch warn"]),
        ("utm_source=News&utm_content=x", ["utm_content field_forbidden error"]),
        ("utm_source=News&utm_id=x", ["utm_id field_forbidden error"]),
        ("utm_source=News&utm_medium=email", ["utm_term field_missing error"]),
        ("utm_source=News&utm_term=a", ["utm_campaign condition_failed error"]),
        (
            "utm_source=News&utm_term=a&utm_campaign=de_2026&utm_medium=letter",
            ["utm_medium condition_failed error"],
        ),
        ("utm_source=News&utm_term=a+b&utm_term=a+b&utm_campaign=de_2026", []),
        ("utm_source=News&utm_source=News", ["utm_source duplicate_key error"]),
        ("utm_source=acme.com", ["utm_source self_referral error", "utm_source value_not_allowed error"]),
    ],
)
def test_a_tenants_own_rules_are_held(query, expected):
    found = validate_url(contract("news", STRICT), f"https://a.example/?{query}", "landing").findings
    assert sorted(f"{one.field} {one.code} {one.severity}" for one in found) == sorted(expected)


def test_rules_that_contradict_themselves_are_refused():
    for bad in (
        {"fields": [{"field": "utm_term", "min_length": 9, "max_length": 3}]},
        {"fields": [{"field": "utm_term"}, {"field": "term"}]},
        {"fields": [{"field": "utm_term", "kind": "enum", "values": [{"value": "a", "aliases": ["a"]}]}]},
        {"fields": [{"field": "utm_term", "charset": "z-a"}]},
        {"cross_fields": [{"id": "x", "kind": "implies"}]},
        {"severities": {"no_such_code": "warn"}},
    ):
        with pytest.raises(ValidationError):
            Rules.model_validate(bad)


@pytest.mark.parametrize(
    "pattern", ["(?=a)", "a*?", r"(a)\1", "(a", "[a", "a{9000}", "((a{40}){40}){40}", "*", "(((){99}){99}){99}"]
)
def test_a_pattern_that_needs_backtracking_or_too_much_is_refused(pattern):
    with pytest.raises(BadPattern):
        compile_pattern(pattern)


@given(st.text(alphabet="ab_1-", max_size=12))
def test_patterns_match_as_everybody_expects(value):
    import re  # noqa: PLC0415 - the second opinion

    for pattern in (
        "(a|b)*",
        "a{2,3}b?",
        "(?:ab|a)(1|b_1)*",
        "[^a-]+",
        r"\w+-\d",
        "(a?b?){2}",
        "^[a-z0-9]+(_[a-z0-9]+)*$",
    ):
        assert compile_pattern(pattern).matches(value) is bool(re.fullmatch(pattern, value, re.ASCII)), pattern


def work(judged: CompiledContract, url: str) -> float:
    """CPU seconds of the fastest of some tries."""
    tries = []
    for _ in range(3):
        started = time.process_time()
        validate_url(judged, url, "landing")
        tries.append(time.process_time() - started)
    return min(tries)


@pytest.mark.parametrize(
    "piece", ["a", "_A", "%25", "{", "?utm_x", ";", "@a.b", "1-", "\u200b", "&amp;utm_a=%FF", "__A"]
)
def test_validation_takes_linear_time(piece):
    """Sixteen times the text may take sixteen times as long, and noise; quadratic work would take 256 times."""
    judged = contract(
        "x", rules(fields=[{"field": "utm_term", "kind": "pattern", "pattern": "(a+)+(a|b)*c", "max_length": 2048}])
    )
    short, long = (f"https://acme.com/?utm_term={(piece * size)[:size]}" for size in (1_000, 16_000))
    assert work(judged, long) < 0.1 + 64 * work(judged, short)


def test_a_url_that_is_too_long_is_told_and_not_read():
    parsed = parse_url("https://acme.com/?utm_source=" + "x" * URL_CHARACTERS)
    assert ([one.code for one in parsed.findings], parsed.parameters) == (["url_too_long"], ())


@settings(max_examples=60)
@given(st.text(max_size=100))
def test_any_text_can_be_judged(text):
    for phase in ("template", "landing"):
        for shaped in (text, f"https://acme.com/?{text}", f"utm_source={text}&utm_campaign={quote(text)}"):
            report = validate_url(CONTRACTS["google_ads"], shaped, phase)
            assert all(one.position is None or 0 <= one.position <= len(shaped) for one in report.findings)
            assert set(report.normalised) <= set(UTM_FIELDS)


def test_the_seeds_say_what_they_are():
    assert [seed(platform).status for platform in ACTIVE] == ["active"] * 5
    assert [seed(platform).status for platform in DRAFTS] == ["draft"] * 4
    assert {seed(platform).mode for platform in (*ACTIVE, *DRAFTS)} == {"observe"}
