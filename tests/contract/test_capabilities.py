"""The committed ledger is compared with what was seen, and the page is made of it and of the drivers' limits."""

import json
import os
from pathlib import Path

import pytest

from tests.contract import capabilities
from tests.contract.ledger import WRITE
from tests.contract.test_ledger import ledger_of, report


@pytest.fixture
def files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setattr(capabilities, "LEDGER", tmp_path / "ledger.json")
    monkeypatch.setattr(capabilities, "PAGE", tmp_path / "capabilities.md")
    return tmp_path


@pytest.mark.skipif(os.environ.get(WRITE) == "write", reason="this run writes the page")
def test_the_page_says_what_the_ledger_and_the_drivers_say():
    page = capabilities.PAGE.read_text(encoding="utf-8")
    assert page == capabilities.page(capabilities.committed()), "run `python3 make.py capabilities`"


def test_what_was_written_is_not_stale(files):
    ledger = ledger_of(report("passed", lines=[1, 2, 3]), report("skipped", lines=[3], reason="capability: no parts"))
    capabilities.write(ledger)
    assert capabilities.differences(ledger) == []
    entry = {"passed": "1-3", "skipped": {"3": ["capability: no parts"]}}
    assert json.loads((files / "ledger.json").read_text()) == {"filesystem": entry}
    assert "| 3 | capability: no parts | filesystem |" in (files / "capabilities.md").read_text()


@pytest.mark.parametrize(
    ("seen", "told"),
    [
        (report("passed", lines=[1, 2]), "filesystem: passed 1-2, not 1"),
        (report("skipped", lines=[1], reason="emulator: it cannot"), "filesystem: passed none, not 1"),
        (report("passed", lines=[1], backend="cosmos (server)"), "filesystem: no suite runs on it any more"),
    ],
)
def test_another_outcome_than_the_committed_one_is_told(files, seen, told):
    capabilities.write(ledger_of(report("passed", lines=[1])))
    assert told in capabilities.differences(ledger_of(seen))


def test_a_skip_that_is_new_is_told(files):
    passed = report("passed", lines=[1])
    capabilities.write(ledger_of(passed))
    skipped = report("skipped", lines=[1], reason="emulator: it cannot")
    assert "emulator: it cannot" in " ".join(capabilities.differences(ledger_of(passed, skipped)))


def test_a_server_that_is_not_on_this_machine_is_not_seen_and_keeps_its_entry(files):
    google, ours = "firestore (Google emulator)", report("passed", lines=[1])
    capabilities.write(ledger_of(ours, report("passed", lines=[1], backend=google)))
    without = ledger_of(ours, report("skipped", reason="service: its jar is not here", backend=google, when="setup"))
    assert capabilities.differences(without) == []
    capabilities.write(without)
    assert list(capabilities.committed()) == ["filesystem", google]


def test_what_a_machine_cannot_show_says_nothing_of_a_backend(files):
    ledger = ledger_of(report("passed"), report("skipped", reason="machine: the superuser is never refused"))
    capabilities.write(ledger)
    assert capabilities.committed() == {"filesystem": {"passed": "1-2", "skipped": {}}}
