"""Channels: Google Analytics 4's rules for manual tags in their order, over a list of sources of our own."""

import pytest

from analytics.contracts.channels import CHANNELS, RULES, category_of, channel_of, classify
from analytics.contracts.parameters import click_ids, shipped


@pytest.mark.parametrize(
    ("number", "source", "medium", "campaign"),
    [
        (1, "", "(none)", ""),
        (1, "(direct)", "(not set)", ""),
        (2, "google", "cpc", "Q3 Cross-Network"),
        (3, "amazon", "cpc", ""),
        (3, "google", "ppc", "summer shopping"),
        (3, "google", "cpc", "eshop"),
        (4, "Google", "CPC", "bishop"),
        (4, "bing.com", "paid-search", ""),
        (4, "www.google.co.uk", "cpm", ""),
        (5, "instagram", "retargeting", ""),
        (5, "l.facebook.com", "paid_social", ""),
        (6, "youtube", "paid", ""),
        (7, "dv360", "banner", ""),
        (8, "partner", "cpa", ""),
        (9, "ebay.de", "referral", ""),
        (9, "newsletter", "email", "shop"),
        (10, "t.co", "referral", ""),
        (10, "somewhere", "social media", ""),
        (11, "vimeo.com", "referral", ""),
        (11, "somewhere", "product-video", ""),
        (12, "duckduckgo", "", ""),
        (12, "somewhere", "organic", ""),
        (13, "blog.example.org", "link", ""),
        (14, "e-mail", "x", ""),
        (15, "partner", "affiliate", ""),
        (16, "podcast", "audio", ""),
        (17, "sms", "", ""),
        (18, "app", "web-push", ""),
        (18, "firebase", "x", ""),
    ],
)
def test_the_first_rule_that_holds_decides(number, source, medium, campaign):
    found = channel_of(source, medium, campaign)
    assert (found.name, found.rule) == (RULES[number - 1][0], f"ga4-1:{number:02}")


def test_what_no_rule_knows_is_unassigned():
    assert channel_of("somewhere", "something").name == "Unassigned"
    assert len(CHANNELS) == len(set(CHANNELS)) == 19


@pytest.mark.parametrize(
    ("source", "category"),
    [
        ("google", "search"),
        ("www.google.com.au", "search"),
        ("search.yahoo.co.jp", "search"),
        ("news.ycombinator.com", "social"),
        ("m.youtube.com", "video"),
        ("amazon.co.jp", "shopping"),
        ("shopping.google.com", "shopping"),
        ("notgoogle.com", ""),
        ("google.evil.example", ""),
        ("", ""),
    ],
)
def test_a_source_has_the_category_of_its_name_or_host(source, category):
    assert category_of(source) == category


def test_without_tags_a_paid_click_id_decides_then_the_referrer_then_nothing():
    ids = click_ids()
    assert classify({}, clicks=[ids["fbclid"], ids["msclkid"]]).rule == "ga4-1:04+msclkid"
    assert classify({}, clicks=[ids["fbclid"]], referrer_host="m.facebook.com").name == "Organic Social"
    assert classify({}, referrer_host="www.acme.com", own_host="acme.com").name == "Direct"
    assert classify({"utm_source": "news", "utm_medium": "email"}, clicks=[ids["gclid"]]).name == "Email"


def test_the_list_of_sources_says_what_it_is():
    listed = shipped("sources")
    assert "NOT Google's list" in listed["about"]
    assert listed["version"] >= "2026"
    names = [name for lists in listed["categories"].values() for kind in lists for name in lists[kind]]
    assert all(name == name.lower().strip() for name in names)
