"""Metrics over REST: one value or a list, strict about what is sent, exact about what comes back."""

import pytest

KPI = "storage/metrics/kpi"


def test_a_value_alone_a_list_and_an_object_with_a_list_are_taken(acme_api):
    for body in ({"value": 1}, [{"value": "2.50"}, {"value": 3}], {"values": [{"value": 4}]}):
        answer = acme_api.post(KPI, body)
        assert answer.status_code == 201, answer.content
        assert answer["X-Northstar-Backend"] == "filesystem"
    assert [item["value"] for item in acme_api.get(KPI).json()["items"]] == [1, "2.50", 3, 4]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "value"),
        ({"value": True}, "value"),
        ({"value": "NaN"}, "value"),
        ({"value": "١٢"}, "value"),
        ({"value": "1_0"}, "value"),
        ({"value": 1, "tags": {"n": 1}}, "tags.n"),
        ({"value": 1, "ts": 1700000000}, "ts"),
        ({"value": 1, "unit": "ms"}, "unit"),
        ([{"value": 1}, {"value": None}], "values.1.value"),
        ([], "values"),
        (5, "values.0"),
    ],
)
def test_a_body_that_is_wrong_names_the_field_and_stores_nothing(acme_api, body, field):
    answer = acme_api.post(KPI, body)
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["field"] == field
    assert acme_api.get(KPI).json()["items"] == []


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("bucket=5w", "bucket"),
        ("aggregate=median", "aggregate"),
        ("aggregate=p%D9%A9", "aggregate"),
        ("tags=region", "tags"),
        ("tags=region:eu,region:us", "tags"),
        ('tags={"region": "eu", "region": "us"}', "tags"),
        (f'tags={{"a": {"[" * 5000}', "tags"),
        ('tags={"n": 1}', "tags.n"),
        ("start=2026-11-21&end=2026-11-20", ""),
        ("end=yesterday", "end"),
        ("since=2026-11-20", "since"),
    ],
)
def test_a_query_that_is_wrong_names_the_parameter(acme_api, query, field):
    answer = acme_api.get(f"{KPI}?{query}")
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (400, field), answer.content


def test_a_repeated_post_under_one_key_counts_once(acme_api):
    for _ in range(2):
        assert acme_api.post(KPI, {"value": 1}, headers={"Idempotency-Key": "k"}).status_code == 201
    assert acme_api.get(f"{KPI}?aggregate=count").json()["items"] == [{"start": None, "end": None, "count": 1}]


def test_tags_with_commas_are_asked_for_as_json(acme_api):
    acme_api.post(KPI, [{"value": 1, "tags": {"city": "Paris, Texas"}}, {"value": 2, "tags": {"city": "Paris"}}])
    found = acme_api.get(f'{KPI}?tags={{"city":"Paris, Texas"}}').json()["items"]
    assert [item["value"] for item in found] == [1]


def test_a_cursor_is_good_for_its_own_query_alone(acme_api, globex_api):
    acme_api.post(KPI, [{"value": n} for n in range(5)])
    cursor = acme_api.get(f"{KPI}?limit=2").json()["next_cursor"]
    assert len(acme_api.get(f"{KPI}?cursor={cursor}").json()["items"]) == 3
    for api, path in (
        (acme_api, f"{KPI}?tags=a:b&cursor={cursor}"),
        (acme_api, f"storage/metrics/other?cursor={cursor}"),
        (globex_api, f"{KPI}?cursor={cursor}"),
    ):
        assert api.get(path).json()["error_code"] == "INVALID_CURSOR"


def test_a_metric_without_a_value_has_no_latest(acme_api):
    assert acme_api.get(f"{KPI}/latest").status_code == 404
