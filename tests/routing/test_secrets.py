"""Secrets of routes: sealed at rest, masked everywhere else, kept across edits, rotatable."""

import json
import logging

import pytest
from django.core import serializers
from django.core.management import call_command
from django.db import connection

from northstar.errors import InvalidConfig
from routing.changes import RouteUpdate, create_route, put_route, reseal_routes, update_route
from routing.models import OutboxEntry, Route, RouteChange
from routing.resolve import resolve
from routing.sealing import route_scope, seal, unseal
from storage.config import reveal
from tests.routing.conftest import CAUSE, context, draft
from tests.routing.vault import CANARY, opened

SCOPE = route_scope("tabular_store", "acme", "dev", None)


def with_secret(**changes):
    return draft(config={"place": "here", "password": CANARY, **changes})


def password() -> str:
    secret = opened(resolve("tabular_store", context())).password
    assert secret is not None
    return reveal(secret)


def test_a_secret_is_nowhere_in_the_database_in_clear(acme):
    route = create_route(with_secret(), CAUSE)
    update_route(route.pk, RouteUpdate(config={"place": "there", "password": CANARY + "2"}), CAUSE)
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f'SELECT * FROM "{table}"')
            assert CANARY not in repr(cursor.fetchall()), table


def test_a_secret_is_nowhere_in_dumps_events_and_audit(acme):
    create_route(with_secret(), CAUSE)
    for model in (Route, RouteChange, OutboxEntry):
        assert CANARY not in serializers.serialize("json", model.objects.all())
    assert RouteChange.objects.first().after["config"]["password"] == "****"


def test_a_secret_is_neither_in_errors_nor_in_logs(acme, caplog):
    caplog.set_level(logging.DEBUG)
    with pytest.raises(InvalidConfig) as refused:
        create_route(with_secret(pool=CANARY, extra=CANARY), CAUSE)
    assert CANARY not in json.dumps([str(refused.value), repr(refused.value.errors), refused.value.fix])
    assert CANARY not in caplog.text


def test_a_reference_is_stored_and_shown_as_a_reference(acme, monkeypatch):
    reference = {"$secret": "env:NORTHSTAR_SECRET_VAULT"}
    monkeypatch.setenv("NORTHSTAR_SECRET_VAULT", CANARY)
    route = create_route(draft(config={"place": "here", "password": reference}), CAUSE)
    assert route.config["password"] == reference
    assert route.sealed_secrets == ""
    assert password() == CANARY


@pytest.mark.parametrize("given", [{"place": "here", "pool": 9}, {"place": "here", "pool": 9, "password": "****"}])
def test_a_secret_left_out_or_masked_is_kept(acme, given):
    route = create_route(with_secret(), CAUSE)
    assert update_route(route.pk, RouteUpdate(config=given), CAUSE).revision == 2
    assert password() == CANARY
    put_route(draft(config=given), CAUSE)
    assert password() == CANARY


def test_a_secret_set_to_null_is_removed(acme):
    route = create_route(with_secret(), CAUSE)
    changed = update_route(route.pk, RouteUpdate(config={"place": "here", "password": None}), CAUSE)
    assert changed.sealed_secrets == ""
    assert opened(resolve("tabular_store", context())).password is None


def test_a_new_secret_alone_is_a_change_that_shows_no_secret(acme):
    route = create_route(with_secret(), CAUSE)
    update_route(route.pk, RouteUpdate(config={"place": "here", "password": "other"}), CAUSE)
    change = RouteChange.objects.first()
    assert change.action == "ROUTE_UPDATED"
    assert change.before["config"] == change.after["config"] == {"place": "here", "password": "****"}
    assert password() == "other"


def test_the_secrets_of_one_backend_are_never_given_to_another(acme):
    route = create_route(with_secret(), CAUSE)
    update_route(route.pk, RouteUpdate(backend_type="bank", config={"place": "here"}), CAUSE)
    assert opened(resolve("tabular_store", context())).password is None
    with pytest.raises(InvalidConfig, match="password is masked"):
        update_route(route.pk, RouteUpdate(backend_type="vault", config={"place": "x", "password": "****"}), CAUSE)


def test_equal_secrets_do_not_look_equal_at_rest():
    assert seal({"a": "x"}, SCOPE) != seal({"a": "x"}, SCOPE)


@pytest.mark.parametrize(
    "other",
    [
        route_scope("tabular_store", "globex", "dev", None),
        route_scope("tabular_store", "acme", "prod", None),
        route_scope("tabular_store", "acme", "dev", "None"),
        route_scope("event_stream", "acme", "dev", None),
    ],
)
def test_a_sealed_text_opens_in_its_own_row_only(other):
    sealed = seal({"password": CANARY}, SCOPE)
    assert unseal(sealed, SCOPE) == {"password": CANARY}
    with pytest.raises(InvalidConfig, match="belong to another route"):
        unseal(sealed, other)


@pytest.mark.parametrize("damaged", ["k1.", "k1.AAAA", "k1.!!!!", "k1." + "A" * 80])
def test_a_damaged_text_is_refused(damaged):
    with pytest.raises(InvalidConfig):
        unseal(damaged, SCOPE)


def test_after_a_rotation_old_secrets_open_and_resealing_retires_the_old_key(acme, settings):
    create_route(with_secret(), CAUSE)
    create_route(draft(env="prod"), CAUSE)
    settings.NORTHSTAR_ENCRYPTION_KEYS = {"k2": b"2" * 32, "k1": b"1" * 32}
    assert password() == CANARY
    assert (reseal_routes(CAUSE), reseal_routes(CAUSE)) == (1, 0)
    settings.NORTHSTAR_ENCRYPTION_KEYS = {"k2": b"2" * 32}
    assert password() == CANARY
    assert RouteChange.objects.first().action == "SECRETS_RESEALED"


def test_a_lost_key_is_named_and_its_secret_can_be_set_again(acme, settings):
    create_route(with_secret(), CAUSE)
    settings.NORTHSTAR_ENCRYPTION_KEYS = {"k2": b"2" * 32}
    with pytest.raises(InvalidConfig, match="'k1', which is not in the key ring"):
        password()
    put_route(with_secret(), CAUSE)
    assert password() == CANARY


def test_the_command_reseals_and_says_how_many(acme, settings, capsys):
    create_route(with_secret(), CAUSE)
    settings.NORTHSTAR_ENCRYPTION_KEYS = {"k2": b"2" * 32, "k1": b"1" * 32}
    call_command("reseal_secrets", "--dry-run")
    call_command("reseal_secrets")
    call_command("reseal_secrets")
    told = [line.split()[0] for line in capsys.readouterr().out.splitlines()]
    assert told == ["1", "1", "0"]
