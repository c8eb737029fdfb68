"""A cursor is good only for the one who got it, for the listing it came from, and unchanged."""

import re
import string

import pytest
from django.conf import settings
from django.test import override_settings

from storage.cursors import CURSOR_MARK, seal, unseal
from storage.errors import InvalidCursor

ACME = ("acme", "dev", "_", "orders")
GLOBEX = ("globex", "dev", "_", "orders")


@pytest.mark.parametrize("state", ["key/with spaces é", 17, None, ["a1b2", 40], {"after": "x"}])
def test_a_cursor_gives_back_its_state(state):
    assert unseal("records", ACME, seal("records", ACME, state)) == state


def test_a_cursor_is_short_and_safe_in_a_url():
    token = seal("events", ACME, ["a1b2c3d4", 12_345_678])
    assert re.fullmatch(r"cur_[A-Za-z0-9_-]{40,70}", token)


def test_a_cursor_of_another_tenant_is_refused():
    with pytest.raises(InvalidCursor):
        unseal("records", GLOBEX, seal("records", ACME, 1))


def test_a_cursor_of_another_listing_is_refused():
    with pytest.raises(InvalidCursor):
        unseal("events", ACME, seal("records", ACME, 1))


def test_parts_of_a_binding_do_not_run_into_each_other():
    with pytest.raises(InvalidCursor):
        unseal("records", ("ab", "c"), seal("records", ("a", "bc"), 1))


def test_a_cursor_with_any_character_changed_is_refused():
    token = seal("records", ACME, 123)
    for index in range(len(token)):
        other = next(letter for letter in string.ascii_letters if letter != token[index])
        with pytest.raises(InvalidCursor):
            unseal("records", ACME, token[:index] + other + token[index + 1 :])


@pytest.mark.parametrize("token", ["", CURSOR_MARK, "cur_é", "cur_a", "cur_????", "17", "cur_" + "A" * 40])
def test_garbage_is_refused(token):
    with pytest.raises(InvalidCursor):
        unseal("records", ACME, token)


@pytest.mark.parametrize("addition", ["=", "\n", "$", " "])
def test_a_cursor_has_one_spelling(addition):
    with pytest.raises(InvalidCursor):
        unseal("records", ACME, seal("records", ACME, 1) + addition)


def test_a_cursor_outlives_the_rotation_of_the_secret_key():
    token = seal("records", ACME, 1)
    with override_settings(SECRET_KEY="the next one", SECRET_KEY_FALLBACKS=[settings.SECRET_KEY]):
        assert unseal("records", ACME, token) == 1
    with override_settings(SECRET_KEY="the next one", SECRET_KEY_FALLBACKS=[]), pytest.raises(InvalidCursor):
        unseal("records", ACME, token)
