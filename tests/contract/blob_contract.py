"""What every blob driver promises of keys and whole objects, whatever backend is behind it.

A backend's test module gives the fixture `open_blobs(tenant="acme", env="dev", project=None, surface="_")`: each call opens
the same data through another driver, as another process would.
"""

import hashlib
import string
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from northstar.errors import InvalidRequest
from storage.blob_guard import GuardedBlobs
from storage.errors import InvalidKey

OpenBlobs = Callable[..., GuardedBlobs]

ODD_KEYS = (
    "plain",
    "with space",
    "quote\"and'quote",
    "percent%2Fsign",
    "percent/sign",
    "UPPER",
    "upper",
    "caf\u00e9",
    "cafe\u0301",
    "emoji/\U0001f680/\u2728",
    "0leading/digit",
    ".hidden",
    "...",
    "trailing.",
    "a=b&c=d;e?f#g",
    "*star[0]?_%",
    "-dash",
    "~tilde",
    "semi;colon:at@",
    "x" * 300,
    "long/" + "y" * 800,
    "deep/" + "z/" * 200 + "end",
    "blobs/meta/.lock",
    "\ufeffbom",
    "\u202eright-to-left",
    "zero\u200bwidth",
)
BAD_KEYS = (
    "",
    "/leading",
    "trailing/",
    "double//slash",
    "./dot",
    "a/./b",
    "..",
    "../escape",
    "a/../../b",
    "back\\slash",
    "nul\0",
    "line\n",
    "tab\t",
    "del\x7f",
    "c1\x85",
    "lone\ud800",
    "x" * 901,
    "\u00e9" * 451,
    "s/" * 240 + "s",
)


def put(blobs, key, data=b"data", **options):
    info = blobs.put(key, [data], content_type=options.pop("content_type", "text/plain"), **options)
    return info if blobs.limits.exact_put_time else told_exactly(blobs, info)


def told_exactly(blobs, info):
    """What a put has told, with the time that `head` tells: the service gave the put only that of its answer."""
    known = blobs.head(info.key)
    if known is None or known.etag != info.etag:
        return info  # another writer was here
    assert abs(info.modified_at - known.modified_at) < timedelta(seconds=60)
    return replace(info, modified_at=known.modified_at)


def read(blobs, key, wanted=None):
    blob = blobs.get(key, wanted)
    return None if blob is None else b"".join(blob.chunks)


def keys_of(blobs, **options):
    return [info.key for info in blobs.list(**options).blobs]


class BlobKeyContract:
    @pytest.fixture
    def blobs(self, open_blobs: OpenBlobs) -> GuardedBlobs:
        return open_blobs()

    @pytest.mark.line(1, 8, 9)
    @pytest.mark.parametrize("key", ODD_KEYS)
    def test_an_odd_key_is_the_same_key_in_every_operation(self, blobs, key):
        info = put(blobs, key, b"odd")
        assert (info.key, read(blobs, key), blobs.head(key)) == (key, b"odd", info)
        assert keys_of(blobs) == [key]
        assert blobs.copy(key, "copied").sha256 == info.sha256
        assert blobs.delete(key)
        assert (read(blobs, key), keys_of(blobs)) == (None, ["copied"])

    @pytest.mark.line(1)
    @pytest.mark.parametrize("first", range(0, 128, 16))
    def test_every_ascii_character_is_kept_or_refused_before_anything_is_written(self, blobs, first):
        kept = []
        for character in map(chr, range(first, first + 16)):
            key = f"c{character}c"
            try:
                put(blobs, key, character.encode())
            except InvalidKey:
                continue
            kept.append(key)
        assert keys_of(blobs) == kept
        assert [read(blobs, key) for key in kept] == [key[1].encode() for key in kept]
        printable = set(string.printable[:95]) - {"\\"}
        assert {key[1] for key in kept} == {chr(code) for code in range(first, first + 16)} & printable

    @pytest.mark.line(1, 2, 3, 4, 12, 14, 109)
    @pytest.mark.parametrize("key", BAD_KEYS)
    def test_a_bad_key_is_refused_by_every_operation_with_its_rule(self, blobs, key):
        put(blobs, "good")
        operations = (
            lambda: put(blobs, key),
            lambda: blobs.get(key),
            lambda: blobs.head(key),
            lambda: blobs.delete(key),
            lambda: blobs.copy(key, "target"),
            lambda: blobs.copy("good", key),
        )
        for operation in operations:
            with pytest.raises(InvalidKey) as refused:
                operation()
            assert "key" in str(refused.value)
        assert keys_of(blobs) == ["good"]

    @pytest.mark.line(4)
    def test_900_bytes_are_a_key_and_901_are_none(self, blobs):
        longest = "\u00e9" * 450
        put(blobs, longest, b"long")
        assert read(blobs, longest) == b"long"
        with pytest.raises(InvalidKey, match="900"):
            put(blobs, longest + "x")

    @pytest.mark.line(6, 7)
    @pytest.mark.parametrize(
        "twins", [("Same", "same"), ("d/File", "D/File"), ("\u00e5", "a\u030a"), ("\u212b", "\u00c5")]
    )
    def test_keys_that_differ_in_case_or_form_only_are_two_objects(self, blobs, twins):
        for key in twins:
            put(blobs, key, key.encode())
        assert [read(blobs, key) for key in twins] == [key.encode() for key in twins]
        assert blobs.delete(twins[0])
        assert keys_of(blobs) == [twins[1]]

    @pytest.mark.line(11, 76)
    def test_a_scope_never_meets_another_whose_name_it_begins(self, open_blobs):
        scopes = [
            {"tenant": "acme"},
            {"tenant": "acme-corp"},
            {"tenant": "acme", "env": "dev2"},
            {"tenant": "acme", "project": "dev"},
            {"tenant": "acme", "project": "Dev"},
            {"tenant": "acme", "project": "P" * 128},
            {"tenant": "acme", "surface": "squared2"},
            {"tenant": "acme", "project": "dev", "surface": "squared2"},
            {"tenant": "globex"},
        ]
        for number, scope in enumerate(scopes):
            put(open_blobs(**scope), "one", str(number).encode())
        for number, scope in enumerate(scopes):
            blobs = open_blobs(**scope)
            assert (read(blobs, "one"), keys_of(blobs)) == (str(number).encode(), ["one"])

    @pytest.mark.line(10, 150)
    @pytest.mark.parametrize(
        "key",
        [
            "$(touch x)",
            "`id`",
            "'; DROP TABLE routes;--",
            "{{7*7}}",
            "${jndi:ldap:x}",
            "%0d%0aSet-Cookie: a",
            "<script>",
        ],
    )
    def test_what_looks_like_a_command_is_only_a_name(self, blobs, key):
        info = put(blobs, key, key.encode(), metadata={"note": key}, content_type="text/x-odd")
        assert (read(blobs, key), info.metadata["note"]) == (key.encode(), key)
        assert keys_of(blobs, prefix=key) == [key]

    @pytest.mark.line(10, 16)
    @settings(
        max_examples=60,
        deadline=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.differing_executors],
    )
    @given(
        st.dictionaries(
            st.text(
                st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\\"), min_size=1, max_size=12
            ).filter(lambda key: not {"", ".", ".."} & set(key.split("/"))),
            st.binary(max_size=64),
            max_size=8,
        )
    )
    def test_any_set_of_keys_comes_back_as_it_was_written(self, blobs, objects):
        for key in keys_of(blobs):
            blobs.delete(key)
        for key, data in objects.items():
            put(blobs, key, data)
        assert keys_of(blobs) == sorted(objects, key=str.encode)
        for key, data in objects.items():
            assert (read(blobs, key), blobs.head(key).sha256) == (data, hashlib.sha256(data).hexdigest())

    @pytest.mark.line(2)
    def test_a_prefix_that_no_key_can_have_is_refused(self, blobs):
        for prefix in ("lone\ud800", "nul\0", "x" * 901):
            with pytest.raises(InvalidRequest):
                blobs.list(prefix=prefix)
