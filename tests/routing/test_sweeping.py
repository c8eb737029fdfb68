"""Uploads that nobody registers are swept when every URL that could have sent them is over, and not a day before."""

import json
from datetime import UTC, datetime, timedelta
from io import StringIO
from time import monotonic, sleep

import pytest
import time_machine
from django.core.cache import cache
from django.core.management import CommandError, call_command
from django.test import Client

from northstar.periodic import Periodic
from routing.admission import RouteDraft
from routing.changes import create_route
from routing.models import Route
from routing.operations.sweeping import sweep_in_turn, sweep_routes
from routing.resolve import invalidate
from storage.blobs import Swept
from tests.conftest import CAUSE

PRESIGN = "storage/objects/presign"


def abandon(api, days, *, ttl_seconds=604800, **headers):
    """Upload something so many days ago, and never register it."""
    with time_machine.travel(datetime.now(UTC) - timedelta(days=days), tick=True):
        asked = api.post(PRESIGN, {"key": "doc", "ttl_seconds": ttl_seconds}, headers=headers).json()
        assert Client().generic("PUT", asked["url"], b"abandoned").status_code == 200
    return asked["upload_id"]


def swept(**options):
    return {one.route.tenant_id: one.swept.uploads for one in sweep_routes(**options) if one.swept.uploads}


def command(*arguments):
    out = StringIO()
    call_command("sweep_uploads", *arguments, stdout=out)
    return out.getvalue()


def test_an_upload_whose_url_may_still_live_is_never_swept(acme_api):
    upload_id = abandon(acme_api, 6.9)
    assert swept(older_than=timedelta(0)) == {}
    assert acme_api.post("storage/objects/register", {"key": "doc", "upload_id": upload_id}).status_code == 200


def test_older_than_counts_from_the_end_of_the_longest_url(acme_api):
    abandon(acme_api, 7.5)
    assert swept() == {}
    assert swept(older_than=timedelta(hours=11)) == {"acme": 1}


def test_every_surface_and_project_is_swept_and_objects_stay(acme_api, globex_api):
    acme_api.put("storage/objects/doc", b"kept")
    for headers in ({}, {"X-Project-Id": "p1"}, {"X-Surface-Id": "web"}):
        abandon(acme_api, 9, **headers)
    abandon(globex_api, 6)
    assert swept() == {"acme": 3}
    assert swept() == {}
    assert acme_api.get("storage/objects/doc").getvalue() == b"kept"


def test_the_command_tells_what_it_would_remove_and_then_removes_it(acme_api):
    abandon(acme_api, 9)
    assert "1 uploads and 0 parts would be removed" in command("--dry-run")
    told = json.loads(command("--format", "json"))
    (route,) = told["routes"]
    assert (told["ok"], told["dry_run"], route["uploads"], route["place"]) == (True, False, 1, "acme/dev")
    assert "0 uploads and 0 parts removed" in command("--older-than", "0s")


@pytest.mark.parametrize("text", ["1", "h", "1w", "-1h", "1.5h"])
def test_a_duration_that_is_none_is_refused(text):
    with pytest.raises(CommandError, match="duration"):
        command(f"--older-than={text}")


def test_a_route_that_cannot_be_opened_holds_up_no_other_and_is_told(acme_api, globex_api):
    abandon(globex_api, 9)
    Route.objects.filter(tenant_id="acme", resource_kind="object_store").update(config={"base_dir": "/etc"})
    invalidate()
    out = StringIO()
    with pytest.raises(SystemExit):
        call_command("sweep_uploads", stdout=out)
    assert "FORBIDDEN_ENDPOINT" in out.getvalue()
    assert "(globex/dev on filesystem): 1 uploads" in out.getvalue()


def test_a_projects_own_route_is_swept_too(acme_api, lab):
    draft = RouteDraft(
        resource_kind="object_store",
        tenant_id="acme",
        project_id="p2",
        backend_type="filesystem",
        config={"base_dir": str(lab / "own")},
    )
    create_route(draft, CAUSE)
    abandon(acme_api, 9, **{"X-Project-Id": "p2"})
    found = {one.route.project_id: one.swept for one in sweep_routes()}
    assert found == {None: Swept(), "p2": Swept(uploads=1)}


def test_a_server_sweeps_in_the_background_in_the_turn_of_one_process(own_database, acme_api):
    abandon(acme_api, 9)
    cache.clear()
    job = Periodic("sweep", sweep_in_turn, 0.01)
    job.start()
    deadline = monotonic() + 30
    while next(iter(sweep_routes(dry_run=True))).swept.uploads and monotonic() < deadline:
        sleep(0.02)
    abandon(acme_api, 9)
    sleep(0.1)
    job.ask_to_stop()
    job.join(30)
    assert swept() == {"acme": 1}  # the second had to wait for the next turn
