"""The demo's input: what the repository itself holds. Whatever the demo expects is computed from this, never written down."""

import hashlib
import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib import metadata
from itertools import islice, pairwise
from pathlib import Path
from typing import Any, Final

ENOUGH_COMMITS: Final = 200
"""With fewer commits, each changed file of a commit is an event of its own."""
MOST_COMMITS: Final = 2000
MOST_FILES: Final = 1000
GIT_SECONDS: Final = 30
_SKIPPED: Final = frozenset({"var", "node_modules", "__pycache__", "staticfiles"})
_COMMIT_MARK: Final = "\x1e"
_FIELD_MARK: Final = "\x1f"
_PINNED: Final = re.compile(
    r"^(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*)==(?P<version>[^\s;\\]+)(?:\s*;\s*(?P<marker>[^\\]+))?"
)


@dataclass(frozen=True, slots=True)
class PastEvent:
    """One thing that happened to the repository. `event_id` names it for good; `ts` is when its author did it."""

    event_id: str
    type: str
    ts: str
    data: dict[str, Any]


@dataclass(frozen=True, slots=True)
class History:
    """Events in the order in which git tells them, newest first: their times run backwards, so only positions can order them."""

    origin: str
    events: tuple[PastEvent, ...]

    @property
    def fingerprint(self) -> str:
        """Twelve hexadecimal digits that stand for exactly these events."""
        text = json.dumps([asdict(event) for event in self.events], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    @property
    def out_of_order(self) -> int:
        """How many events are older than the event before them."""
        times = [datetime.fromisoformat(event.ts) for event in self.events]
        return sum(later < earlier for earlier, later in pairwise(times))


@dataclass(frozen=True, slots=True)
class Dependency:
    """One package that this project needs. A lock may name several versions of it, for different machines."""

    name: str
    version: str
    marker: str

    @property
    def key(self) -> str:
        """What no other dependency is called."""
        return f"{self.name}/{self.version}"


def repository_files(root: Path) -> tuple[str, list[Path]]:
    """Return where the list comes from, and the regular files in it, relative to the root and in byte order."""
    listed = _git(root, "ls-files", "-z")
    names = listed.split("\0") if listed is not None else [str(path) for path in _tree(root)]
    found = (Path(name) for name in sorted(names, key=os.fsencode) if name)
    files = [path for path in found if (root / path).is_file() and not (root / path).is_symlink()]
    origin = "git ls-files" if listed is not None else "the file tree; no git is at hand"
    return (origin if len(files) <= MOST_FILES else f"{origin}, the first {MOST_FILES}"), files[:MOST_FILES]


def history(root: Path) -> History:
    """Return the commits as events, and their changed files where there are few commits; without git, the file tree."""
    shape = _FIELD_MARK.join((_COMMIT_MARK + "%H", "%an", "%aI", "%s"))
    log = _git(root, "log", "--no-renames", "--name-status", f"--max-count={MOST_COMMITS}", f"--format={shape}")
    if not log:
        return History("the file tree; no git history is at hand", tuple(_tree_events(root)))
    commits = [block.split("\n") for block in log.split(_COMMIT_MARK)[1:]]
    detailed = len(commits) < ENOUGH_COMMITS
    events = (event for lines in commits for event in _commit_events(lines, detailed=detailed))
    return History(f"git log, {len(commits)} commits", tuple(events))


def dependencies(root: Path) -> tuple[str, list[Dependency]]:
    """Return where they come from, and the project's dependencies by name: the lock file's, else the installed ones."""
    lock = root / "requirements" / "base.txt"
    if lock.is_file():
        pinned = (_PINNED.match(line) for line in lock.read_text(encoding="utf-8").splitlines())
        found = [Dependency(m["name"].lower(), m["version"], (m["marker"] or "").strip()) for m in pinned if m]
        return "requirements/base.txt", sorted(found, key=lambda package: package.key)
    installed = {each.name.lower(): each.version for each in metadata.distributions()}
    return "the installed packages", [Dependency(name, installed[name], "") for name in sorted(installed)]


def _commit_events(lines: list[str], *, detailed: bool) -> Iterator[PastEvent]:
    commit, author, ts, subject = lines[0].split(_FIELD_MARK, 3)
    changes = [line.partition("\t")[::2] for line in lines[1:] if line]
    data = {"commit": commit, "author": author, "subject": subject, "files": len(changes)}
    yield PastEvent(f"commit-{commit}", "commit", ts, data)
    for status, path in changes if detailed else ():
        name = hashlib.sha256(path.encode()).hexdigest()[:16]
        change = {"commit": commit, "author": author, "path": path, "status": status}
        yield PastEvent(f"commit-{commit}-{name}", "file.changed", ts, change)


def _tree_events(root: Path) -> Iterator[PastEvent]:
    for path in islice(_tree(root), MOST_COMMITS):
        facts = (root / path).stat()
        name = hashlib.sha256(f"{path}\0{facts.st_mtime_ns}".encode()).hexdigest()[:32]
        ts = datetime.fromtimestamp(facts.st_mtime, UTC).isoformat()
        yield PastEvent(f"file-{name}", "file.found", ts, {"path": str(path), "size": facts.st_size})


def _tree(root: Path) -> Iterator[Path]:
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(name for name in folders if name not in _SKIPPED and not name.startswith("."))
        for name in sorted(names):
            path = Path(folder, name)
            if path.is_file() and not path.is_symlink():
                yield path.relative_to(root)


def _git(root: Path, *arguments: str) -> str | None:
    """Return git's answer about this repository; None when there is no git, or the folder belongs to another repository."""
    program = shutil.which("git")
    if program is None or not (root / ".git").exists():
        return None
    command = [program, "-C", str(root), "-c", "core.quotePath=false", *arguments]
    try:
        done = subprocess.run(command, capture_output=True, timeout=GIT_SECONDS, check=False)  # noqa: S603 - fixed words
    except subprocess.TimeoutExpired:
        return None
    return done.stdout.decode(errors="replace") if done.returncode == 0 else None
