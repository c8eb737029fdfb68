"""A process whose children store, complete and delete media, each killed with SIGKILL at its own step; after each, one sweep.

Usage: media_life.py HOME KILLS. Its output is one JSON object: how often each operation was killed, and what was not clean.
"""

import json
import os
import signal
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import django
from django.core.management import call_command
from django.db import connections

os.environ["DJANGO_SETTINGS_MODULE"] = "northstar.settings.lab"
django.setup()

from media.models import MediaScope  # noqa: E402
from media.records import TABLE  # noqa: E402
from media.services import (  # noqa: E402
    complete_media,
    delete_media,
    get_media,
    get_thumbnail,
    list_media_for_session,
    list_media_for_user,
    presign_media,
    store_media,
)
from media.sweeping import sweep_scope  # noqa: E402
from northstar.context import RequestContext  # noqa: E402
from northstar.modes import LAB  # noqa: E402
from routing.changes import Cause, RouteDraft, create_route, create_tenant  # noqa: E402
from storage.guard import Caller  # noqa: E402
from storage.opening import close_adapters, open_store  # noqa: E402
from storage.tickets import read_ticket  # noqa: E402
from tests.media.pictures import png  # noqa: E402

ACME = RequestContext("acme", "dev", LAB, user_id="ada")
SESSION = "s_1"
PIECES = 5
"""Of 1 MiB: more than one part, so that there is a row of their checksums."""
LATER = datetime.now(UTC) + timedelta(days=30)

Operation = Callable[[], object]


def prepare(home: Path) -> None:
    """Make acme in a new home."""
    call_command("migrate", verbosity=0)
    cause = Cause("command:test")
    create_tenant("acme", "Acme", LAB, cause)
    config = {"durability": "none"}  # what is killed here is a process, not the machine
    for kind in ("object_store", "tabular_store"):
        draft = RouteDraft(resource_kind=kind, tenant_id="acme", backend_type="filesystem", config=config)
        create_route(draft, cause)


class Fuse:
    """Kills this process at its n-th step: a step is the moment before, amid and after each call of a store."""

    def __init__(self, steps: int) -> None:
        self._left = steps

    def step(self) -> None:
        self._left -= 1
        if self._left < 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def light(self) -> None:
        run = Caller.run

        def burning(caller, operation, call, **options):
            self.step()
            result = run(caller, operation, call, **options)
            self.step()
            return result

        Caller.run = burning  # type: ignore[assignment, method-assign]

    def pieces(self) -> Iterator[bytes]:
        for number in range(PIECES):
            self.step()
            yield bytes([number]) * 1024 * 1024


def killed(operation: Callable[[Fuse], object], steps: int) -> bool:
    """Do it in a child that is killed at a step; say whether it was, and did not end before."""
    close_adapters()
    connections.close_all()
    child = os.fork()
    if child == 0:
        fuse = Fuse(steps)
        fuse.light()
        operation(fuse)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    if os.WIFEXITED(status):
        assert os.WEXITSTATUS(status) == 0, "the operation failed"
        return False
    return True


def store(fuse: Fuse) -> None:
    store_media(ACME, fuse.pieces(), session_id=SESSION, mime_type="video/mp4")


def stored() -> str:
    media = store_media(ACME, [png()], session_id=SESSION)
    get_thumbnail(ACME, media.media_id)
    return media.media_id


def uploaded() -> str:
    asked = presign_media(ACME, session_id=SESSION, served_at="/")
    open_store("object_store", ACME).receive(read_ticket(asked.request.url[1:], "PUT"), [png()])
    return asked.media_id


def problems() -> Iterator[str]:
    """Whatever is not clean: rows, lists and objects tell of the same media, all of them whole, and of nothing else."""
    rows = {
        record.key: record.data
        for record in open_store("tabular_store", ACME).list_by_prefix(TABLE, limit=1000).records
    }
    ids = {key.removeprefix("media:") for key in rows if key.startswith("media:")}
    for one in ids:
        try:
            list(get_media(ACME, one).chunks)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is told
            yield f"{one}: {error!r}"
    lists = [list_media_for_session(ACME, SESSION), list_media_for_user(ACME, "ada")]
    if any({media.media_id for media in page.items} != ids for page in lists):
        yield f"the lists are not {sorted(ids)}"
    loose = [key for key in rows if key.rpartition(":")[2] not in ids or key.startswith("pending:")]
    if loose:
        yield f"rows of nothing: {loose}"
    store = open_store("object_store", ACME)
    objects = {entry.key.removeprefix("media/") for entry in store.list().blobs}
    if objects != ids:
        yield f"objects {sorted(objects ^ ids)} are without rows, or missing"


def sweep() -> None:
    """One sweep, long after; and that of uploads, which has its own time."""
    list(sweep_scope(ACME, before=LATER, repair=True))
    open_store("object_store", ACME).sweep(before=LATER)


def life(kills: int) -> dict[str, object]:
    """Kill each operation at each of its steps, again and again, until there were so many kills."""
    counts: dict[str, int] = {}
    found: list[str] = []
    while sum(counts.values()) < kills:
        for name in ("store", "delete", "complete"):
            for steps in range(1000):
                if not _once(name, steps):
                    break
                counts[name] = counts.get(name, 0) + 1
                sweep()
                found += [f"{name} killed at step {steps}: {problem}" for problem in problems()]
            _empty()
    return {"kills": counts, "problems": found, "scopes": MediaScope.objects.count()}


def _once(name: str, steps: int) -> bool:
    if name == "store":
        return killed(store, steps)
    media_id = stored() if name == "delete" else uploaded()
    act = delete_media if name == "delete" else complete_media
    return killed(lambda _fuse: act(ACME, media_id), steps)


def _empty() -> None:
    for media in list_media_for_session(ACME, SESSION, limit=1000).items:
        delete_media(ACME, media.media_id)


if __name__ == "__main__":
    prepare(Path(sys.argv[1]))
    print(json.dumps(life(int(sys.argv[2]))))
