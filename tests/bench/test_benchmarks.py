"""Every benchmark runs, in its tiny form, as `python -m bench` runs it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from bench.__main__ import BENCHMARKS

ROOT = Path(__file__).resolve().parent.parent.parent
WITHIN_SECONDS = 120
ROWS = {
    "resolution": ["resolve / dict", "resolve / LocMem", "resolve / ORM"],
    "records": ["record get", "record put", "record get / unmetered"],
    "appends": ["append, 32 writers", "append, 1 writer"],
    "listings": ["list 100 at the end", "list 100 in the middle"],
    "analytics": ["ingest 500 records a batch, through HTTP"],
    "media": ["20 media / the rows raw", "20 media / HEAD of each"],
    "objects": ["1 KiB PUT / same promise", "1 KiB PUT / write in place"],
    "budgets": ["budget usage, 1 caller", "budget usage, 32 callers", "budget usage, a batch"],
    "rules": ["rule, cold / two gets", "rule, warm / Redis"],
    "propagation": ["known in 4 processes"],
    "audit": ["verify trail / read it"],
    "s3_objects": [
        *(f"S3 {operation} 1 KiB / {other}" for operation in ("put", "get") for other in ("SDK", "Django")),
        *(f"S3 put 64 MiB / {way}" for way in ("single", "parts", "promise")),
        "S3 get 64 MiB / SDK",
    ],
    "azure_blobs": [
        *("Azure 1 KiB put", "Azure 1 KiB get"),
        *("Azure 64 MiB put / same promise", "Azure 64 MiB put / from memory", "Azure 64 MiB get"),
    ],
    "clouds": [
        *("DynamoDB get", "DynamoDB put", "DynamoDB put / same"),
        *("DynamoDB increment", "DynamoDB increment / same"),
        *(
            f"{service} {operation}"
            for service in ("Firestore", "Cosmos DB")
            for operation in ("get", "put", "increment")
        ),
    ],
    "gcs_objects": [
        *("GCS put 1 KiB / SDK", "GCS get 1 KiB / SDK"),
        *(f"GCS put 64 MiB / {way}" for way in ("request", "parts", "SHA-256")),
        "GCS get 64 MiB / SDK",
    ],
}


def bench(tmp_path: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    (tmp_path / "home").mkdir()
    return subprocess.run(
        [sys.executable, "-m", "bench", *arguments, "--save", str(tmp_path / "run.json")],
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(tmp_path / "home")},
        capture_output=True,
        text=True,
        timeout=WITHIN_SECONDS,
        check=False,
    )


def test_each_benchmark_is_run_here():
    assert set(BENCHMARKS) == set(ROWS)


@pytest.mark.server
@pytest.mark.parametrize("name", ROWS)
def test_a_benchmark_prints_and_keeps_its_rows_and_leaves_nothing_behind(tmp_path, name):
    done = bench(tmp_path, "--smoke", "--only", name)
    assert done.returncode == 0, done.stderr
    results = json.loads((tmp_path / "run.json").read_text())["results"]
    assert [result["name"] for result in results] == ROWS[name]
    assert all(
        result["ratio"]["median"] > 0 and row in done.stdout for row, result in zip(ROWS[name], results, strict=True)
    )
    assert list((tmp_path / "home").iterdir()) == []


def test_an_unknown_benchmark_is_refused(tmp_path):
    done = bench(tmp_path, "--smoke", "--only", "guesses")
    assert (done.returncode, "invalid choice: 'guesses'" in done.stderr) == (2, True)
