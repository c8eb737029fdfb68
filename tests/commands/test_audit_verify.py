"""audit verify says whether the trail holds, and what confirms it."""

import json
from io import StringIO

import pytest
from django.core.management import call_command

from northstar.quickstart import ensure_filesystem_routes
from routing.models import RouteChange, SnapshotRevision
from routing.operations.mirror import mirror_changes


@pytest.fixture
def trail(acme, system) -> None:
    ensure_filesystem_routes("t_system", "dev")
    mirror_changes()


def verify(*arguments: str) -> tuple[int, str]:
    out, code = StringIO(), 0
    try:
        call_command("audit", "verify", *arguments, stdout=out, stderr=StringIO())
    except SystemExit as stopped:
        code = int(stopped.code or 0)
    return code, out.getvalue()


def test_an_intact_trail_is_told_with_what_confirms_it(trail):
    code, text = verify()
    rows = RouteChange.objects.count()
    assert code == 0
    assert text.splitlines() == [
        f"Audit rows: {rows}",
        f"Intact: Every row follows the one before. Anchors outside of the database confirm it up to row {rows}.",
    ]


def test_a_broken_one_ends_with_exit_code_one(trail):
    SnapshotRevision.objects.update(audit_head="0" * 64)
    code, text = verify()
    assert code == 1
    assert text.splitlines()[-1].startswith("BROKEN: It is not the row recorded as the last one. First at row ")


def test_the_json_form_is_one_object(trail):
    code, text = verify("--format", "json")
    rows = RouteChange.objects.count()
    status = json.loads(text)
    assert (code, status["ok"], status["rows"], status["anchored"], status["first_broken"]) == (
        0,
        True,
        rows,
        rows,
        None,
    )
