"""Versions, times and parts of objects over HTTP, as RFC 9110 has them."""

from datetime import UTC, datetime, timedelta

import pytest
from django.utils.http import http_date

from tests.api.test_objects import content, path, problem

DIGITS = b"0123456789"


@pytest.fixture
def digits(acme_api):
    """acme's client, and the answer to storing ten digits."""
    return acme_api, acme_api.put(path("digits"), DIGITS)


def moved(moment, **by):
    return http_date((moment + timedelta(**by)).timestamp())


class TestWrites:
    def test_create_only_is_refused_once_it_exists(self, acme_api):
        only = {"If-None-Match": "*"}
        assert acme_api.put(path("x"), b"1", headers=only).status_code == 201
        assert problem(acme_api.put(path("x"), b"2", headers=only)) == (412, "VERSION_CONFLICT")
        assert content(acme_api.get(path("x"))) == b"1"

    def test_a_replace_holds_to_the_etag_it_names(self, digits):
        api, stored = digits
        assert api.put(path("digits"), b"2", headers={"If-Match": stored["ETag"]}).status_code == 200
        assert problem(api.put(path("digits"), b"3", headers={"If-Match": stored["ETag"]})) == (412, "VERSION_CONFLICT")
        assert problem(api.put(path("missing"), b"3", headers={"If-Match": stored["ETag"]})) == (
            412,
            "VERSION_CONFLICT",
        )
        assert content(api.get(path("digits"))) == b"2"

    def test_one_of_several_etags_is_enough(self, digits):
        api, stored = digits
        assert api.put(path("digits"), b"2", headers={"If-Match": f'"a", {stored["ETag"]} , "b"'}).status_code == 200
        assert problem(api.put(path("digits"), b"3", headers={"If-Match": '"a", "b"'})) == (412, "VERSION_CONFLICT")

    def test_a_star_means_any_version_but_not_none(self, digits):
        api, _ = digits
        assert api.put(path("digits"), b"2", headers={"If-Match": "*"}).status_code == 200
        assert problem(api.put(path("missing"), b"2", headers={"If-Match": "*"})) == (412, "VERSION_CONFLICT")

    def test_a_weak_etag_never_matches_a_write(self, digits):
        api, stored = digits
        assert problem(api.put(path("digits"), b"2", headers={"If-Match": "W/" + stored["ETag"]})) == (
            412,
            "VERSION_CONFLICT",
        )

    @pytest.mark.parametrize(
        "headers",
        [
            {"If-Match": "unquoted"},
            {"If-Match": '"open'},
            {"If-Match": ""},
            {"If-None-Match": '"tag"'},
            {"If-Match": '"a"', "If-None-Match": "*"},
        ],
    )
    def test_a_condition_that_makes_no_sense_is_refused(self, digits, headers):
        api, _ = digits
        assert problem(api.put(path("digits"), b"2", headers=headers)) == (400, "INVALID_REQUEST")
        assert content(api.get(path("digits"))) == DIGITS

    def test_a_delete_holds_to_the_etag_it_names(self, digits):
        api, stored = digits
        assert problem(api.delete(path("digits"), headers={"If-Match": '"other"'})) == (412, "VERSION_CONFLICT")
        assert problem(api.delete(path("digits"), headers={"If-None-Match": "*"})) == (400, "INVALID_REQUEST")
        assert api.delete(path("digits"), headers={"If-Match": stored["ETag"]}).status_code == 204
        assert problem(api.delete(path("digits"), headers={"If-Match": stored["ETag"]})) == (412, "VERSION_CONFLICT")

    def test_a_write_may_be_tied_to_a_time(self, digits):
        api, _ = digits
        now = datetime.now(UTC)
        early, late = {"If-Unmodified-Since": moved(now, hours=-1)}, {"If-Unmodified-Since": moved(now, hours=1)}
        assert problem(api.put(path("digits"), b"2", headers=early)) == (412, "VERSION_CONFLICT")
        assert api.put(path("digits"), b"2", headers=late).status_code == 200
        assert api.put(path("new"), b"2", headers=early).status_code == 200


class TestReads:
    def test_a_version_the_reader_has_is_304(self, digits):
        api, stored = digits
        for tag in (stored["ETag"], "W/" + stored["ETag"], "*", f'"x", {stored["ETag"]}'):
            for answer in (
                api.get(path("digits"), headers={"If-None-Match": tag}),
                api.head(path("digits"), headers={"If-None-Match": tag}),
            ):
                assert (answer.status_code, answer.content, answer["ETag"]) == (304, b"", stored["ETag"])
        assert content(api.get(path("digits"), headers={"If-None-Match": '"x"'})) == DIGITS

    def test_a_version_the_reader_insists_on_is_given_or_412(self, digits):
        api, stored = digits
        assert content(api.get(path("digits"), headers={"If-Match": stored["ETag"]})) == DIGITS
        assert problem(api.get(path("digits"), headers={"If-Match": '"x"'})) == (412, "VERSION_CONFLICT")
        assert problem(api.get(path("digits"), headers={"If-Match": "x"})) == (400, "INVALID_REQUEST")

    def test_times_are_conditions_too(self, digits):
        api, _ = digits
        now = datetime.now(UTC)
        early, late = moved(now, hours=-1), moved(now, hours=1)
        assert api.get(path("digits"), headers={"If-Modified-Since": late}).status_code == 304
        assert content(api.get(path("digits"), headers={"If-Modified-Since": early})) == DIGITS
        assert problem(api.get(path("digits"), headers={"If-Unmodified-Since": early})) == (412, "VERSION_CONFLICT")
        assert content(api.get(path("digits"), headers={"If-Unmodified-Since": late})) == DIGITS

    def test_an_etag_counts_before_a_time(self, digits):
        api, stored = digits
        late, early = (moved(datetime.now(UTC), hours=hours) for hours in (1, -1))
        headers = {"If-None-Match": '"x"', "If-Modified-Since": late}
        assert content(api.get(path("digits"), headers=headers)) == DIGITS
        headers = {"If-Match": stored["ETag"], "If-Unmodified-Since": early}
        assert content(api.get(path("digits"), headers=headers)) == DIGITS


class TestParts:
    @pytest.mark.parametrize(
        ("asked", "expected", "shown"),
        [
            ("bytes=2-4", b"234", "2-4"),
            ("bytes=0-", DIGITS, "0-9"),
            ("bytes=7-", b"789", "7-9"),
            ("bytes=8-100", b"89", "8-9"),
            ("bytes=-3", b"789", "7-9"),
            ("bytes=-100", DIGITS, "0-9"),
            ("Bytes=9-9", b"9", "9-9"),
        ],
    )
    def test_a_part_is_206_with_its_place(self, digits, asked, expected, shown):
        api, _ = digits
        got = api.get(path("digits"), headers={"Range": asked})
        assert (got.status_code, content(got)) == (206, expected)
        assert (got["Content-Range"], got["Content-Length"]) == (f"bytes {shown}/10", str(len(expected)))

    @pytest.mark.parametrize("asked", ["bytes=10-", "bytes=10-20", "bytes=-0", "bytes=" + "9" * 90 + "-"])
    def test_a_part_beyond_the_end_is_416_with_the_size(self, digits, asked):
        api, _ = digits
        got = api.get(path("digits"), headers={"Range": asked})
        assert problem(got) == (416, "INVALID_REQUEST")
        assert got["Content-Range"] == "bytes */10"

    @pytest.mark.parametrize(
        "asked", ["bytes=0-1,3-4", "bytes=4-2", "bytes=x", "lines=1-2", "bytes=--1", "bytes 0-1", "bytes=-"]
    )
    def test_several_parts_and_what_is_no_range_are_answered_with_the_whole(self, digits, asked):
        api, _ = digits
        got = api.get(path("digits"), headers={"Range": asked})
        assert (got.status_code, content(got), got.headers.get("Content-Range")) == (200, DIGITS, None)

    def test_a_part_of_another_version_is_not_given(self, digits):
        api, stored = digits
        part = {"Range": "bytes=0-1"}
        for condition, status in (
            (stored["ETag"], 206),
            ('"other"', 200),
            ("W/" + stored["ETag"], 200),
            (api.head(path("digits"))["Last-Modified"], 206),
            (http_date(0), 200),
        ):
            got = api.get(path("digits"), headers={**part, "If-Range": condition})
            assert (got.status_code, content(got)) == (status, DIGITS[:2] if status == 206 else DIGITS)

    def test_the_end_of_an_empty_object_is_the_whole_of_it(self, acme_api):
        acme_api.put(path("empty"), b"")
        got = acme_api.get(path("empty"), headers={"Range": "bytes=-5"})
        assert (got.status_code, content(got)) == (200, b"")
        assert acme_api.get(path("empty"), headers={"Range": "bytes=0-"}).status_code == 416
