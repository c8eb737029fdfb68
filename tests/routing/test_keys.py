"""API keys: shown once, kept as a hash, and dead at once when revoked."""

import re
from datetime import UTC, datetime, timedelta

import pytest
import time_machine

from northstar.errors import InvalidRequest, NotFound, Unauthenticated
from routing.keys import SCOPES, issue_key, mark_used, revoke_key, verify
from routing.models import ApiKey, RouteChange
from tests.routing.conftest import CAUSE


def test_a_key_is_issued_with_a_token_that_verifies(acme):
    key, token = issue_key(acme, "ci", ["data:write", "data:read"], cause=CAUSE, envs=["dev"])
    assert re.fullmatch(r"ns_[a-z0-9]{12}_[a-z0-9]{52,64}", token)
    known = verify(token)
    assert (known.key_id, known.tenant_id, known.tenant.mode) == (key.key_id, "acme", "lab")
    assert (known.scopes, known.envs) == (["data:read", "data:write"], ["dev"])


def test_the_secret_is_kept_nowhere(acme):
    _, token = issue_key(acme, "ci", ["data:read"], cause=CAUSE)
    secret = token.rpartition("_")[2]
    assert secret not in repr(ApiKey.objects.values())
    assert secret not in repr(RouteChange.objects.values())
    assert RouteChange.objects.first().after["scopes"] == ["data:read"]


def bad_tokens(token: str) -> list[str]:
    return [
        "",
        "ns_",
        token[:-1],
        token + "0",
        token + "\n",
        token.upper(),
        token[:-1] + ("0" if token[-1] != "0" else "1"),
        re.sub("ns_.{12}", "ns_aaaaaaaaaaaa", token),
    ]


def test_every_bad_token_gets_the_same_answer(acme):
    _, token = issue_key(acme, "ci", ["data:read"], cause=CAUSE)
    answers = set()
    for bad in bad_tokens(token):
        with pytest.raises(Unauthenticated) as refused:
            verify(bad)
        answers.add((refused.value.detail, refused.value.fix))
    assert len(answers) == 1


def test_a_revoked_key_is_dead_at_once_and_its_end_is_audited(acme):
    key, token = issue_key(acme, "ci", ["data:read"], cause=CAUSE)
    verify(token)
    revoke_key(key.key_id, CAUSE)
    with pytest.raises(Unauthenticated):
        verify(token)
    assert [row.action for row in RouteChange.objects.all()[:2]] == ["KEY_REVOKED", "KEY_ISSUED"]
    revoke_key(key.key_id, CAUSE)
    assert RouteChange.objects.filter(action="KEY_REVOKED").count() == 1


def test_an_expired_key_is_refused(acme):
    soon = datetime.now(UTC) + timedelta(hours=1)
    _, token = issue_key(acme, "ci", ["data:read"], cause=CAUSE, expires_at=soon)
    verify(token)
    with time_machine.travel(soon + timedelta(seconds=1)), pytest.raises(Unauthenticated):
        verify(token)


def test_revoking_an_unknown_key_is_an_error(db):
    with pytest.raises(NotFound):
        revoke_key("aaaaaaaaaaaa", CAUSE)


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"scopes": ["data:all"]}, "scopes"),
        ({"scopes": []}, "scopes"),
        ({"scopes": ["act:tenants"]}, "scopes"),
        ({"envs": ["Dev"]}, "envs"),
        ({"tenant": "nobody"}, "tenant_id"),
        ({"expires_at": datetime(2020, 1, 1, tzinfo=UTC)}, "expires_at"),
    ],
)
def test_a_key_that_makes_no_sense_is_not_issued(acme, values, field):
    given = {"tenant": acme, "label": "ci", "scopes": ["data:read"], "cause": CAUSE, **values}
    with pytest.raises(InvalidRequest) as refused:
        issue_key(**given)
    assert [error.field for error in refused.value.errors] == [field]
    assert not ApiKey.objects.exists()


def test_only_the_system_tenants_keys_may_act_for_others(system):
    key, _ = issue_key(system, "operator", SCOPES, cause=CAUSE)
    assert "act:tenants" in key.scopes


def test_the_last_use_is_written_once_a_minute(acme, django_assert_num_queries):
    _, token = issue_key(acme, "ci", ["data:read"], cause=CAUSE)
    key = verify(token)
    mark_used(key)
    with django_assert_num_queries(0):
        mark_used(key)
    assert ApiKey.objects.get().last_used_at is not None
    with time_machine.travel(datetime.now(UTC) + timedelta(seconds=61)), django_assert_num_queries(1):
        mark_used(key)


def test_a_known_key_costs_no_query_while_nothing_changes(acme, settings, django_assert_num_queries):
    _, token = issue_key(acme, "ci", ["data:read"], cause=CAUSE)
    settings.NORTHSTAR_SNAPSHOT_POLL_SECONDS = 3600
    verify(token)
    with django_assert_num_queries(0):
        verify(token)
