"""The demo's input comes from the repository itself, with git and without."""

import subprocess
from datetime import datetime
from pathlib import Path

import pytest

from northstar.demo import sources

AUTHOR = {"GIT_AUTHOR_NAME": "Ada", "GIT_AUTHOR_EMAIL": "a@example.org", "GIT_COMMITTER_NAME": "Ada"}


@pytest.fixture
def repository(tmp_path, monkeypatch):
    for name, value in {**AUTHOR, "GIT_COMMITTER_EMAIL": "a@example.org", "GIT_CONFIG_GLOBAL": "/dev/null"}.items():
        monkeypatch.setenv(name, value)
    _git(tmp_path, "init", "--quiet")
    return tmp_path


def _git(folder: Path, *arguments: str) -> None:
    subprocess.run(["git", "-C", str(folder), *arguments], check=True, capture_output=True)


def _commit(folder: Path, name: str, content: str, at: str) -> None:
    (folder / name).write_text(content)
    _git(folder, "add", "--", name)
    _git(folder, "commit", "--quiet", "-m", f"Write {name}", "--date", at)


def test_the_files_are_those_that_git_knows(repository):
    _commit(repository, "known.txt", "1", "2024-01-02T00:00:00Z")
    (repository / "unknown.txt").write_text("2")
    (repository / "link").symlink_to("known.txt")
    _git(repository, "add", "link")
    assert sources.repository_files(repository) == ("git ls-files", [Path("known.txt")])


def test_without_git_the_file_tree_is_used_and_said_so(tmp_path):
    (tmp_path / "var").mkdir()
    (tmp_path / "var" / "state").write_text("not ours")
    (tmp_path / ".hidden").mkdir()
    (tmp_path / ".hidden" / "file").write_text("not ours")
    (tmp_path / "a.txt").write_text("1")
    origin, files = sources.repository_files(tmp_path)
    assert files == [Path("a.txt")]
    assert "no git" in origin
    past = sources.history(tmp_path)
    assert [event.data["path"] for event in past.events] == ["a.txt"]
    assert "no git history" in past.origin


def test_each_commit_and_each_changed_file_of_a_short_history_is_an_event(repository):
    _commit(repository, "a.txt", "1", "2024-01-02T00:00:00Z")
    _commit(repository, "b ü.txt", "1", "2024-01-01T00:00:00+02:00")
    past = sources.history(repository)
    assert [event.type for event in past.events] == ["commit", "file.changed", "commit", "file.changed"]
    assert [event.data.get("path") for event in past.events] == [None, "b ü.txt", None, "a.txt"]
    assert past.events[0].data["subject"] == "Write b ü.txt"
    assert datetime.fromisoformat(past.events[0].ts) == datetime.fromisoformat("2024-01-01T00:00:00+02:00")
    assert len({event.event_id for event in past.events}) == 4


def test_a_long_history_is_one_event_per_commit(repository, monkeypatch):
    monkeypatch.setattr(sources, "ENOUGH_COMMITS", 2)
    _commit(repository, "a.txt", "1", "2024-01-03T00:00:00Z")
    _commit(repository, "a.txt", "2", "2024-01-02T00:00:00Z")
    assert [event.type for event in sources.history(repository).events] == ["commit", "commit"]


def test_times_that_run_backwards_are_counted(repository):
    _commit(repository, "a.txt", "1", "2024-01-01T00:00:00Z")
    _commit(repository, "a.txt", "2", "2024-01-03T00:00:00Z")
    _commit(repository, "a.txt", "3", "2024-01-02T00:00:00Z")
    assert sources.history(repository).out_of_order == 1


def test_the_same_history_has_the_same_fingerprint_and_another_commit_changes_it(repository):
    _commit(repository, "a.txt", "1", "2024-01-01T00:00:00Z")
    first = sources.history(repository).fingerprint
    assert sources.history(repository).fingerprint == first
    _commit(repository, "a.txt", "2", "2024-01-02T00:00:00Z")
    assert sources.history(repository).fingerprint != first


def test_dependencies_come_from_the_lock_file(tmp_path):
    (tmp_path / "requirements").mkdir()
    lock = 'zebra==2.0 \\\n    --hash=sha256:00\nApple==1.0 ; python_version < "3.13" \\\n    --hash=sha256:01\n'
    (tmp_path / "requirements" / "base.txt").write_text(lock)
    _, packages = sources.dependencies(tmp_path)
    assert packages == [
        sources.Dependency("apple", "1.0", 'python_version < "3.13"'),
        sources.Dependency("zebra", "2.0", ""),
    ]


def test_without_a_lock_file_the_installed_packages_are_used(tmp_path):
    origin, packages = sources.dependencies(tmp_path)
    assert origin == "the installed packages"
    assert "django" in [package.name for package in packages]
