"""A PostgreSQL of its own for a test run: it refuses to be root, so it is nobody then, and its files must be nobody's too."""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
from django.db import DEFAULT_DB_ALIAS, connections

from northstar.settings.base import database
from tests.server import HOST
from tests.stack.processes import Server, running

OPTIONS = (
    "listen_addresses=127.0.0.1",
    "unix_socket_directories=",
    "max_connections=300",
    "fsync=off",
    "synchronous_commit=off",
    "full_page_writes=off",
)
"""A test's data need not survive a power cut."""
READABLE = 0o005


@contextmanager
def postgres_in(program: Path) -> Iterator[Server]:
    """Run the PostgreSQL that is installed in a folder, over an empty cluster that is gone afterwards."""
    user = pwd.getpwnam("nobody").pw_uid if os.geteuid() == 0 else None
    with tempfile.TemporaryDirectory(prefix="northstar-postgres-", dir=_shared_folder()) as folder:
        home = Path(folder)
        if user is not None:
            os.chown(home, user, user)
            program = _readable(program, home)
        data = home / "data"
        _initialise(program, data, user)
        options = [word for option in OPTIONS for word in ("-c", option)]

        def command(port: int) -> list[str]:
            return [str(program / "bin" / "postgres"), "-D", str(data), "-p", str(port), *options]

        with running("PostgreSQL", command, _answers, user=user, stop=signal.SIGINT) as server:
            yield server


def _shared_folder() -> str:
    """Where temporary files lie that another user is to reach."""
    usual = Path(tempfile.gettempdir()).resolve()
    return str(usual) if _is_open(usual) else "/tmp"


def _is_open(folder: Path) -> bool:
    return all(one.stat().st_mode & READABLE == READABLE for one in (folder, *folder.parents))


def _readable(program: Path, home: Path) -> Path:
    """Return the program where anybody may run it: below a folder that only root enters, it is copied."""
    if _is_open(program):
        return program
    return Path(shutil.copytree(program, home / "program", symlinks=True))


def _initialise(program: Path, data: Path, user: int | None) -> None:
    command = [str(program / "bin" / "initdb"), "-D", str(data), "-U", "postgres", "--auth=trust", "--no-sync"]
    made = subprocess.run(
        [*command, "--locale=C", "--encoding=UTF8"],
        check=False,
        cwd=data.parent,
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        user=user,
        group=user,
        extra_groups=None if user is None else [],
    )
    assert made.returncode == 0, made.stderr


def _answers(port: int) -> bool:
    try:
        with psycopg.connect(host=HOST, port=port, user="postgres", dbname="postgres", connect_timeout=1) as connection:
            connection.execute("SELECT 1")
    except psycopg.OperationalError:
        return False
    return True


@contextmanager
def new_database(server: Server, name: str, *, template: str = "template0") -> Iterator[str]:
    """Make a database, give its URL as DATABASE_URL takes it, and drop it at the end, whoever is still connected.

    A template must have no connection, so all of its are ended.
    """
    with psycopg.connect(
        host=HOST, port=server.port, user="postgres", dbname="postgres", autocommit=True
    ) as connection:
        connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [template])
        connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
        try:
            yield f"postgres://postgres@{HOST}:{server.port}/{name}"
        finally:
            connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


def use_postgres(server: Server) -> None:
    """Let Django's default database be one of this server, in every thread, without a pool: each thread keeps its own."""
    chosen = database(f"postgres://postgres@{HOST}:{server.port}/northstar")
    chosen["OPTIONS"] = {name: value for name, value in chosen["OPTIONS"].items() if name != "pool"}
    connections.close_all()
    configured = connections.configure_settings({DEFAULT_DB_ALIAS: chosen})[DEFAULT_DB_ALIAS]
    current = connections.settings[DEFAULT_DB_ALIAS]
    current.clear()
    current.update(configured)
    del connections[DEFAULT_DB_ALIAS]
