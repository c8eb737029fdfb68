"""The documents say what the code does: codes, commands, links; and nothing committed names a machine."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

import storage.errors
import storage.kinds.event_stream  # noqa: F401 - and those of the kinds
from northstar.errors import NorthstarError

ROOT = Path(__file__).resolve().parents[2]
CODE = re.compile(r"`([A-Z_]+)`")
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])


def error_classes(base: type[NorthstarError] = NorthstarError) -> Iterator[type[NorthstarError]]:
    yield base
    for derived in base.__subclasses__():
        yield from error_classes(derived)


def committed_files() -> list[Path]:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True)
    return [path for path in map(ROOT.joinpath, listed.stdout.splitlines()) if path.is_file()]


def test_the_contracts_page_lists_every_error_code_under_its_status() -> None:
    rows = re.findall(r"^\| ([\d, ]+) \| (.+) \|$", (ROOT / "docs/contracts.md").read_text(), re.MULTILINE)
    listed = {
        (code, status) for statuses, codes in rows for code in CODE.findall(codes) for status in statuses.split(", ")
    }
    for error in error_classes():
        assert (error.code, str(error.status)) in listed


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_of_a_page_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
        assert (page.parent / target).exists(), target


def test_the_readme_lists_every_command_and_no_other() -> None:
    table = (ROOT / "README.md").read_text().split("## Commands")[1].split("##")[0]
    commands = {path.stem for path in ROOT.glob("*/management/commands/[a-z]*.py")}
    assert set(re.findall(r"^\| `([a-z_]+)", table, re.MULTILINE)) == commands


def test_every_decision_says_context_decision_rejected_and_consequences() -> None:
    for page in (ROOT / "docs/decisions").glob("0*.md"):
        text = page.read_text()
        for part in ("**Context.**", "**Decision.**", "**Rejected.**", "**Consequences.**"):
            assert part in text, f"{page.name}: {part}"


def test_lock_files_carry_hashes_and_no_addresses() -> None:
    for lock in (ROOT / "requirements").glob("*.txt"):
        text = lock.read_text()
        assert "--hash=sha256:" in text
        assert "://" not in text, lock.name


def test_nothing_committed_names_a_registry_or_a_path_of_a_machine() -> None:
    hosts = [".".join(parts) for parts in (("pypi", "org"), ("python" + "hosted", "org"), ("npmjs", "org"))]
    paths = ["/" + "/".join(parts) + "/" for parts in (("work", "main"), ("work", "shared"), ("root", ".pyenv"))]
    for path in committed_files():
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        for name in (*hosts, *paths):
            assert name not in text, f"{path.relative_to(ROOT)} names {name}"
