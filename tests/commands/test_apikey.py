"""apikey issues, revokes and lists keys; a token is shown once."""

import json
from datetime import UTC, datetime, timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from northstar.errors import Unauthenticated
from routing.keys import verify
from routing.models import RouteChange


def _run(*arguments: str) -> str:
    out = StringIO()
    call_command("apikey", *arguments, stdout=out, stderr=StringIO())
    return out.getvalue().strip()


def test_a_new_key_opens_what_it_was_made_for(acme):
    token = _run("create", "--tenant", "acme", "--label", "shop", "--scope", "data:read", "--env", "dev")
    key = verify(token)
    assert (key.tenant_id, key.label, key.scopes, key.envs) == ("acme", "shop", ["data:read"], ["dev"])
    assert RouteChange.objects.latest("id").actor == "command:apikey"


def test_without_scopes_a_key_reads_and_writes_data_and_nothing_else(acme):
    assert verify(_run("create", "--tenant", "acme")).scopes == ["data:read", "data:write"]


def test_a_key_can_expire(acme):
    document = json.loads(_run("create", "--tenant", "acme", "--expires-days", "7", "--format", "json"))
    left = datetime.fromisoformat(document["expires_at"]) - datetime.now(UTC)
    assert timedelta(days=6, hours=23) < left <= timedelta(days=7)
    assert verify(document["token"]).key_id == document["key_id"]


@pytest.mark.parametrize("given", ["{key_id}", "ns_{key_id}", "{token}"])
def test_a_revoked_key_opens_nothing(acme, given):
    token = _run("create", "--tenant", "acme")
    key_id = verify(token).key_id
    assert "revoked since" in _run("revoke", given.format(key_id=key_id, token=token))
    with pytest.raises(Unauthenticated):
        verify(token)


def test_the_list_shows_state_and_owner_but_no_secret(acme, globex):
    token = _run("create", "--tenant", "acme", "--label", "shop")
    _run("create", "--tenant", "globex")
    listed = json.loads(_run("list", "--tenant", "acme", "--format", "json"))
    assert [(key["tenant_id"], key["label"], key["state"]) for key in listed] == [("acme", "shop", "active")]
    assert token.rpartition("_")[2] not in json.dumps(listed)
    assert len(_run("list").splitlines()) == 2


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("create", "--tenant", "nobody"), "There is no tenant 'nobody'"),
        (("create", "--tenant", "acme", "--scope", "data:everything"), "data:everything"),
        (("create", "--tenant", "acme", "--scope", "act:tenants"), "t_system only"),
        (("create", "--tenant", "acme", "--env", "Dev"), "Dev"),
        (("create", "--tenant", "acme", "--expires-days", "0"), "1 to 3650"),
        (("revoke", "abcdefghijkl"), "There is no API key"),
    ],
)
def test_bad_input_is_an_error_that_says_what_is_wrong(acme, arguments, said):
    with pytest.raises(CommandError, match=said):
        _run(*arguments)
