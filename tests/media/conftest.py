"""Media of acme, kept on the filesystem, and what is known of them."""

from pathlib import Path

import pytest

from northstar.context import RequestContext
from storage.opening import open_store

ACME = RequestContext("acme", "dev", "lab", user_id="ada")


def stored(api, data=b"hello", *, session="s_1", **options):
    """Store a media output, and return what the API says of it."""
    answer = api.post(f"media?session_id={session}", data, **options)
    assert answer.status_code == 201, answer.content
    return answer.json()


def listed(api, query=""):
    """The ids of a listing, all pages of it."""
    found, cursor = [], ""
    while cursor is not None:
        answer = api.get(f"media?{query}{cursor and '&cursor=' + cursor}").json()
        found += [item["media_id"] for item in answer["items"]]
        cursor = answer["next_cursor"]
    return found


def rows(context=ACME):
    """Every row of the table of media, by key."""
    records = open_store("tabular_store", context).list_by_prefix("media_outputs", limit=1000).records
    return {record.key: record.data for record in records}


def object_files(lab: Path, tenant: str = "acme") -> list[str]:
    """The names of the objects on disk."""
    folder = lab / "object_store" / tenant
    return sorted(
        str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file() and "blobs" in path.parts
    )


@pytest.fixture
def blob_calls(monkeypatch):
    """The operations that reach an object driver from now on, through the guard that all of them pass."""
    from storage.guard import Caller  # noqa: PLC0415

    seen: list[str] = []
    run = Caller.run

    def counted(self, operation, call, **options):
        if self.kind == "object_store":
            seen.append(operation)
        return run(self, operation, call, **options)

    monkeypatch.setattr(Caller, "run", counted)
    return seen
