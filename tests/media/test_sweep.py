"""The sweep command tells what is not as it should be, repairs it only when asked to, and takes nothing that is somebody's."""

import json
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from io import StringIO

import pytest
import time_machine
from django.core.cache import cache
from django.core.management import call_command

from media.deleting import delete_media
from media.models import MediaScope
from media.rows import _known
from media.services import store_media
from media.sweeping import sweep_media_in_turn
from northstar.errors import Conflict
from storage.errors import BackendUnavailable
from storage.kinds.object_store import ObjectStore
from storage.opening import open_store
from tests.media.conftest import ACME, listed, object_files, rows, stored


@pytest.fixture
def away(monkeypatch):
    """`away("delete")` lets that operation of objects fail as when the service is away, until it is called again."""
    usual = {name: getattr(ObjectStore, name) for name in ("put", "delete")}

    def fail(*names):
        for name, function in usual.items():
            monkeypatch.setattr(ObjectStore, name, _away if name in names else function)

    return fail


def _away(*_args, **_options):
    raise BackendUnavailable("The service is away.")


def command(*arguments):
    out = StringIO()
    with suppress(SystemExit):
        call_command("sweep_media", "--format", "json", *arguments, stdout=out, stderr=StringIO())
    told = json.loads(out.getvalue())
    return told["ok"], [(one.get("found"), one.get("repaired"), one["error_code"]) for one in told["findings"]]


def test_a_deletion_that_the_service_interrupted_is_finished_by_the_next_or_by_a_sweep(acme_api, away, lab):
    first, second = stored(acme_api), stored(acme_api)
    away("delete")
    for media in (first, second):
        assert acme_api.delete(f"media/{media['media_id']}").status_code == 503
    assert listed(acme_api) == []
    assert command() == (True, [("unfinished deletion", False, "")] * 2)
    assert command("--repair") == (False, [("unfinished deletion", False, "BACKEND_UNAVAILABLE")] * 2)
    away()
    assert acme_api.delete(f"media/{first['media_id']}").status_code == 204
    assert command("--repair") == (True, [("unfinished deletion", True, "")])
    assert (rows(), object_files(lab), command("--objects")) == ({}, [], (True, []))


def test_an_upload_that_failed_while_the_service_was_away_is_swept_when_it_is_over(acme_api, away):
    away("put", "delete")
    assert acme_api.post("media?session_id=s", b"hello").status_code == 503
    away()
    assert command("--repair") == (True, [])  # it may still be under way
    with time_machine.travel(datetime.now(UTC) + timedelta(days=2, minutes=1)):
        assert command("--repair") == (True, [("abandoned upload", True, "")])
    assert rows() == {}


def test_an_upload_that_a_sweep_has_taken_fails_and_leaves_nothing(acme_api, lab):
    def slow():
        yield b"first"
        with time_machine.travel(datetime.now(UTC) + timedelta(days=3)):
            assert command("--repair") == (True, [("abandoned upload", True, "")])
        yield b"second"

    with pytest.raises(Conflict):
        store_media(ACME, slow(), session_id="s")
    assert (rows(), object_files(lab)) == ({}, [])


def test_objects_and_rows_that_lost_each_other_are_told_and_only_ours_are_removed(acme_api, lab):
    kept, lost, bare = stored(acme_api), stored(acme_api), stored(acme_api)
    acme_api.delete(f"storage/objects/media/{lost['media_id']}")
    tables = open_store("tabular_store", ACME)
    for key in list(rows()):
        if key.endswith(bare["media_id"]):
            tables.delete("media_outputs", key)
    acme_api.put("storage/objects/media/cat.png", b"somebody's own")
    acme_api.put(f"storage/objects/media/{bare['media_id'][:-1]}0", b"somebody's own")
    assert command("--objects") == (True, [("row without an object", False, "")])  # the other may be on its way
    with time_machine.travel(datetime.now(UTC) + timedelta(days=2)):
        found = [("row without an object", True, ""), ("object without a row", True, "")]
        assert sorted(command("--objects", "--repair")[1]) == sorted(found)
    assert acme_api.get(f"media/{lost['media_id']}").json()["integrity"] == "missing"
    assert f"dev/_/blobs/media/{kept['media_id']}" in object_files(lab)
    assert len(object_files(lab)) == 3


def test_every_scope_is_swept_once_a_day_by_one_process(acme_api, api, acme, away):
    cache.clear()
    away("delete")
    for headers in ({}, {"X-Project-Id": "p"}, {"X-Surface-Id": "web"}):
        client = api(acme, **headers)
        client.delete(f"media/{stored(client)['media_id']}")
    away()
    assert MediaScope.objects.count() == 3
    sweep_media_in_turn()
    assert command() == (True, [])
    delete_media(ACME, "00000000-0000-7000-8000-000000000000")
    cache.clear()


def test_a_request_that_died_is_taken_over_under_its_idempotency_key(acme_api, monkeypatch):
    store_media(ACME, [b"once"], session_id="s", operation_id="op-1")
    again = store_media(ACME, [b"once"], session_id="s", operation_id="op-1")
    assert listed(acme_api) == [again.media_id]
    with pytest.raises(ValueError, match="died"):
        store_media(ACME, _dying(), session_id="s", operation_id="op-2")
    assert store_media(ACME, [b"twice"], session_id="s", operation_id="op-2").size_bytes == 5
    assert len(listed(acme_api)) == 2


def _dying():
    yield b"tw"
    raise ValueError("died")


def test_scopes_without_number_are_recorded_and_few_are_remembered(acme_api, monkeypatch):
    monkeypatch.setattr("media.rows.KNOWN_PER_DRIVER", 2)
    for surface in ("a", "b", "c", "a"):
        store_media(replace(ACME, surface_id=surface), [b"x"], session_id="s")
    assert MediaScope.objects.count() == 3
    assert len(_known[open_store("tabular_store", ACME).cache_anchor]) <= 2
