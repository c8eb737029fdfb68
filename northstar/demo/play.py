"""The demo from curtain to curtain: prepare, serve, seven parts, tidy up."""

import secrets
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import FrameType
from typing import Final, NoReturn

from django.conf import settings

from northstar.demo.backends import OtherBackend, data_on
from northstar.demo.client import Client
from northstar.demo.events import tell_history
from northstar.demo.files import keep_files
from northstar.demo.flip import flip_objects, point_objects_at
from northstar.demo.handing_out import hand_out
from northstar.demo.memory import remember
from northstar.demo.outputs import delete_outputs, read_output, store_output
from northstar.demo.places import FIRST, SECOND, Place, folder, prefix
from northstar.demo.refusals import try_what_is_forbidden
from northstar.demo.report import Report
from northstar.demo.server import running_server
from northstar.demo.stage import API, EMPTY_ENV, OTHER_TENANT, Stage
from northstar.demo.table import clear_table, keep_dependencies
from northstar.modes import LAB, SYSTEM_TENANT
from northstar.quickstart import (
    DEFAULT_ENV,
    DEMO_TENANT,
    TENANT_SCOPES,
    ensure_tenant,
    one_at_a_time,
    prepare,
)
from routing.changes import Cause
from routing.keys import SCOPES, issue_key, revoke_key
from routing.operations.relay import relay_outbox

CAUSE: Final = Cause("command:demo")
KEY_LIFETIME: Final = timedelta(hours=1)
"""Keys of a demo that was killed open nothing for longer than this."""


@dataclass(frozen=True, slots=True)
class _Tokens:
    demo: str
    other: str
    operator: str


def play(report: Report, *, keep: bool, backend: OtherBackend | None = None) -> None:
    """Run every part against a server of its own, and write what was seen into the report; what `backend` serves lies there.

    Its keys are revoked afterwards, and its objects and records deleted unless `keep`; events, being append-only, stay.
    Runs that start at the same time follow one another.
    Raises ServerFailed, UnexpectedAnswer when a step cannot go on, or what saving and preparing a route on `backend` raises.
    """
    home = Path(settings.NORTHSTAR_HOME)
    project = Path(settings.BASE_DIR)
    prepare("")
    ensure_tenant(OTHER_TENANT, "Somebody else", LAB)
    alone = one_at_a_time(home / ".demo.lock")
    with (
        _ends_on_sigterm(),
        alone,
        data_on(backend, report, keep=keep) as env,
        _keys(env) as tokens,
        running_server(project, home / "demo-server.log") as url,
    ):
        report.say(f"A server of our own answers at {url}; its state is in {home}")
        stage = Stage(
            report=report,
            project=project,
            home=home,
            env=env,
            run=secrets.token_hex(4),
            first=_place(backend, FIRST),
            second=_place(backend, SECOND),
            demo=Client(url, tokens.demo, {"X-Env": env}),
            other=Client(url, tokens.other, {"X-Env": env}),
            operator=Client(url, tokens.operator, {"X-Env": DEFAULT_ENV}),
        )
        _perform(stage, keep=keep)
    relay_outbox()  # what the last steps owe, now that the server is gone


def _place(backend: OtherBackend | None, path: str) -> Place:
    """Return a place of the demo's objects."""
    if backend is None or not backend.serves_objects:
        return folder(path)
    return prefix(backend.backend_type, backend.config, path)


def _perform(stage: Stage, *, keep: bool) -> None:
    point_objects_at(stage, stage.first, "The demo begins.")
    files = keep_files(stage)
    hand_out(stage, files[0])
    tell_history(stage)
    keep_dependencies(stage)
    output = store_output(stage, files[0])
    flip_objects(stage, files[0])
    read_output(stage, output)
    try_what_is_forbidden(stage, files[0])
    remember(stage)
    if not keep:
        _tidy_up(stage)


def _tidy_up(stage: Stage) -> None:
    delete_outputs(stage)
    _delete_objects(stage)
    point_objects_at(stage, stage.first, "The demo is over.")
    _delete_objects(stage)
    clear_table(stage)


def _delete_objects(stage: Stage) -> None:
    keys = [item["key"] for item in stage.demo.items(f"{API}/storage/objects", prefix=stage.prefix)]
    for key in keys:
        stage.demo.need("DELETE", stage.object_path(key.removeprefix(stage.prefix)))


@contextmanager
def _keys(env: str) -> Iterator[_Tokens]:
    """Issue the demo's three keys, for as long as the block runs."""
    envs, expires_at = (env, EMPTY_ENV), datetime.now(UTC) + KEY_LIFETIME
    issued = [
        issue_key(DEMO_TENANT, "demo", TENANT_SCOPES, envs=envs, expires_at=expires_at, cause=CAUSE),
        issue_key(OTHER_TENANT, "demo", TENANT_SCOPES, envs=envs, expires_at=expires_at, cause=CAUSE),
        issue_key(SYSTEM_TENANT, "demo", SCOPES, envs=(DEFAULT_ENV,), expires_at=expires_at, cause=CAUSE),
    ]
    try:
        yield _Tokens(*(token for _, token in issued))
    finally:
        for key, _ in issued:
            revoke_key(key.key_id, CAUSE)


@contextmanager
def _ends_on_sigterm() -> Iterator[None]:
    """Let SIGTERM unwind the blocks, so that the server is stopped and the keys are revoked."""

    def unwind(number: int, _frame: FrameType | None) -> NoReturn:
        raise SystemExit(128 + number)

    before = signal.signal(signal.SIGTERM, unwind)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
