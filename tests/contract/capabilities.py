"""What is known of every backend, for people: `docs/capabilities.md`, made of the committed ledger and the drivers' own limits.

The ledger, `ledger.json`, is what the suites of tests/contract saw when somebody last ran `python3 make.py capabilities`. An
ordinary run of all of them compares what it sees itself.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields
from importlib import import_module
from pathlib import Path
from typing import Any, Final

from storage.blobs import BlobLimits
from storage.documents import Limits
from storage.registry import BACKENDS, BLOBS, DOCUMENTS, load
from tests.contract.ledger import HERE, Ledger, LineRecord, ranges

ROOT: Final = Path(__file__).resolve().parents[2]
LEDGER: Final = ROOT / "tests/contract/ledger.json"
PAGE: Final = ROOT / "docs/capabilities.md"

Entry = dict[str, Any]
"""Of one backend on one server: `passed` as ranges, and `skipped`, the reasons by line."""

SUITES: Final = {
    "Documents": "document_contract*.py",
    "Documents behind a broken network": "fault_contract.py",
    "Event streams": "stream_contract.py",
    "Objects": "blob_contract*.py",
}
INTRODUCTION: Final = """# Capabilities

Written by `python3 make.py capabilities`; a test run that sees anything else fails. Nothing here is claimed by hand.

Names in brackets are emulators and test servers, spoken to by the vendor's own SDK: they are not the service.
To try a real one, `manage.py conformance` runs the same suites on a route. The filesystem is the real thing.
"""
NOT_EVERYWHERE: Final = """A test of the line was skipped, because the backend does not promise it (`capability`) or the emulator
does not do it (`emulator`). A line that stands above too passed in its other tests.
"""


def entries(ledger: Ledger) -> dict[str, Entry]:
    """Return what a run has seen, by backend and server; one whose server is not on this machine is not seen."""
    return {
        backend: _entry(records)
        for backend, records in sorted(ledger.records.items())
        if not any(_is_absent(reason) for record in records.values() for reason in record.skipped)
    }


def _is_absent(reason: str) -> bool:
    return reason.startswith("service:")


def _entry(records: Mapping[int, LineRecord]) -> Entry:
    skipped = {
        str(line): reasons
        for line, record in sorted(records.items())
        if (reasons := sorted({reason for reason in record.skipped if not reason.startswith(HERE)}))
    }
    return {"passed": ranges(sorted(line for line, record in records.items() if record.passed)), "skipped": skipped}


def committed() -> dict[str, Entry]:
    """Return the ledger as it is committed."""
    known: dict[str, Entry] = json.loads(LEDGER.read_text(encoding="utf-8")) if LEDGER.exists() else {}
    return known


def differences(ledger: Ledger) -> list[str]:
    """Say where a run of all suites saw something else than the committed ledger says."""
    seen, known = entries(ledger), committed()
    unseen = set(ledger.records) - set(seen)
    told = [f"{backend}: no suite runs on it any more" for backend in sorted(set(known) - set(seen) - unseen)]
    for backend, entry in seen.items():
        before = known.get(backend, {"passed": "", "skipped": {}})
        if entry["passed"] != before["passed"]:
            told.append(f"{backend}: passed {entry['passed'] or 'none'}, not {before['passed'] or 'none'}")
        if entry["skipped"] != before["skipped"]:
            told.append(f"{backend}: skipped {entry['skipped']}, not {before['skipped']}")
    return told


def write(ledger: Ledger) -> None:
    """Write both files; a server that is not on this machine keeps its entry."""
    seen = entries(ledger)
    kept = {name: entry for name, entry in committed().items() if name in ledger.records and name not in seen}
    known = dict(sorted({**kept, **seen}.items()))
    LEDGER.write_text(json.dumps(known, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    PAGE.write_text(page(known), encoding="utf-8")


def page(known: Mapping[str, Entry]) -> str:
    """Return the page: what each line is about, which lines passed where, and the limits that drivers declare."""
    parts = [
        INTRODUCTION,
        "## Lines of the contract, by suite\n",
        *_table(("suite", "promise", "lines"), _suites()),
        "## Lines passed\n",
        *_table(("backend", "lines passed"), ([name, entry["passed"]] for name, entry in known.items())),
        "## Not everywhere\n",
        NOT_EVERYWHERE,
        *_table(("line", "reason", "backends"), _skips(known)),
        "## Limits of documents\n",
        *_limits(DOCUMENTS, Limits),
        "## Limits of objects\n",
        *_limits(BLOBS, BlobLimits),
    ]
    return "\n".join(parts).rstrip() + "\n"


def _suites() -> Iterator[list[str]]:
    for title, pattern in SUITES.items():
        for path in sorted(Path(__file__).parent.glob(pattern)):
            module = import_module(f"tests.contract.{path.stem}")
            for name, suite in vars(module).items():
                if name.endswith("Contract") and suite.__module__ == module.__name__:
                    yield [title, _first_sentence(suite.__doc__ or module.__doc__), ranges(_lines(suite))]


def _first_sentence(text: str | None) -> str:
    return " ".join((text or "").split("\n\n")[0].split()).rstrip(".")


def _lines(suite: type) -> list[int]:
    tests: list[Callable[..., Any]] = [test for name, test in vars(suite).items() if name.startswith("test_")]
    marks = [mark for test in tests for mark in getattr(test, "pytestmark", []) if mark.name == "line"]
    return sorted({line for mark in marks for line in mark.args})


def _skips(known: Mapping[str, Entry]) -> Iterator[list[str]]:
    where: dict[tuple[int, str], list[str]] = {}
    for backend, entry in known.items():
        for line, reasons in entry["skipped"].items():
            for reason in reasons:
                where.setdefault((int(line), reason), []).append(backend)
    for (line, reason), backends in sorted(where.items()):
        yield [str(line), reason, ", ".join(backends)]


def _limits(primitive: str, limits: type[Any]) -> list[str]:
    drivers = {name: load(path) for name, backend in BACKENDS.items() if (path := backend.serves.get(primitive))}
    rows = (
        [field.name.replace("_", " "), *(_told(getattr(driver.limits, field.name)) for driver in drivers.values())]
        for field in fields(limits)
    )
    return _table(("limit", *drivers), rows)


def _told(value: bool | int) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:,}"


def _table(columns: tuple[str, ...], rows: Any) -> list[str]:
    lines = [columns, ["---"] * len(columns), *rows]
    return [*("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in lines), ""]
