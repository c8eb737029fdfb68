"""How objects lie in files: plain, beside their records, never through a link, whatever else stands in the folder."""

import errno
import fcntl
import hashlib
import json
import os
import resource
import subprocess
import sys
import threading
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from northstar.errors import ForbiddenBackendClass
from northstar.modes import LAB, SELLABLE_MODES
from storage.backends import local_files_folders
from storage.backends.filesystem_config import FilesystemConfig
from storage.backends.local_files import LocalBlobs
from storage.backends.local_files_folders import translated
from storage.backends.local_files_scope import ScopeFolder
from storage.blob_guard import GuardedBlobs
from storage.blobs import BlobPage, BlobRef
from storage.errors import BackendRejected, BackendUnavailable
from storage.guard import ServedBy
from storage.keys import Scope
from tests.contract.blob_contract import keys_of, put, read

pytestmark = pytest.mark.line(108)
OLD = 1_000_000_000


class TestFiles:
    backend = "filesystem"

    @pytest.fixture
    def root(self, lab: Path) -> Path:
        return lab / "files"

    @pytest.fixture
    def home(self, root: Path) -> Path:
        return root / "object_store" / "acme" / "dev" / "_"

    @pytest.fixture
    def driver(self, root: Path) -> LocalBlobs:
        return LocalBlobs(FilesystemConfig(base_dir=str(root)), mode=LAB, epoch=7)

    @pytest.fixture
    def blobs(self, driver: LocalBlobs) -> GuardedBlobs:
        return GuardedBlobs(driver, scope=Scope("acme", "dev"), served_by=ServedBy(1, 7, "filesystem"))

    @pytest.fixture
    def outside(self, tmp_path: Path) -> Path:
        """What no operation may read or change."""
        folder = tmp_path / "outside"
        folder.mkdir()
        (folder / "passwd").write_bytes(b"secret")
        return folder

    # layout --------------------------------------------------------------------------------------------------------------

    def test_an_objects_file_is_its_key_and_holds_its_bytes_and_nothing_else(self, blobs, home):
        info = put(blobs, "reports/2026/\u00e9t\u00e9 Q1.pdf", b"%PDF")
        file = home / "blobs/reports/2026/\u00e9t\u00e9 Q1.pdf"
        assert file.read_bytes() == b"%PDF"
        assert (info.sha256, unquote(urlsplit(info.uri).path)) == (hashlib.sha256(b"%PDF").hexdigest(), str(file))
        assert [path.name for path in (home / "tmp").iterdir()] == []

    def test_a_record_is_one_line_of_json_that_says_all(self, blobs, home):
        put(blobs, "doc", b"1")
        put(blobs, "doc", b"22", metadata={"m": "1"})
        (file,) = (home / "meta").rglob("*.json")
        assert file.name == hashlib.sha256(b"doc").hexdigest() + ".json"
        record = json.loads(file.read_text())
        assert (record["key"], record["location"]) == ("doc", "blobs")
        newest = record["versions"][0]
        assert (newest["size"], newest["metadata"], newest["epoch"]) == (2, {"m": "1"}, 7)
        assert newest["mtime_ns"] == (home / "blobs/doc").stat().st_mtime_ns

    def test_a_restored_backup_is_the_same_object(self, blobs, home, tmp_path):
        put(blobs, "a/doc", b"bytes")
        before = blobs.head("a/doc")
        subprocess.run(["cp", "-a", home, tmp_path / "backup"], check=True)  # keeps modification times, as backups do
        blobs.delete("a/doc")
        subprocess.run(["rm", "-r", home], check=True)
        subprocess.run(["mv", tmp_path / "backup", home], check=True)
        assert (blobs.head("a/doc"), read(blobs, "a/doc")) == (before, b"bytes")

    def test_empty_folders_go_with_the_last_object(self, blobs, home):
        put(blobs, "a/b/c/d")
        put(blobs, "a/x")
        blobs.delete("a/b/c/d")
        assert sorted(path.name for path in (home / "blobs/a").iterdir()) == ["x"]
        blobs.delete("a/x")
        assert list((home / "blobs").iterdir()) == []

    def test_what_has_no_literal_path_lies_in_the_shadow_and_stays_there(self, blobs, home):
        put(blobs, "a/b", b"first")
        put(blobs, "a", b"second")
        blobs.delete("a/b")
        put(blobs, "a", b"third")
        assert not (home / "blobs/a").exists()
        assert (home / "shadow/61").read_bytes() == b"third"
        blobs.delete("a")
        put(blobs, "a", b"fourth")
        assert (home / "blobs/a").read_bytes() == b"fourth"

    def test_on_a_file_system_that_folds_names_only_safe_names_are_taken_literally(self, blobs, home, monkeypatch):
        monkeypatch.setattr(ScopeFolder, "folds_names", lambda self: True)  # such a file system is not at hand
        for key in ("Dir/x", "dir/x", "dir/X", "\u00e9", "dir/y"):
            put(blobs, key, key.encode())
        assert sorted(path.name for path in (home / "blobs/dir").iterdir()) == ["x", "y"]
        assert keys_of(blobs) == ["Dir/x", "dir/X", "dir/x", "dir/y", "\u00e9"]
        assert read(blobs, "Dir/x") == b"Dir/x"

    def test_this_file_system_is_asked_whether_it_folds_names(self, blobs, home):
        put(blobs, "x")
        with LocalBlobs(FilesystemConfig(base_dir=str(home.parents[3])), mode=LAB, epoch=1)._made(
            BlobRef(Scope("acme", "dev"), "x")
        ) as scope:
            folds = (home / "BLOBS").exists()
            assert scope.folds_names() == folds
        assert list((home / "tmp").iterdir()) == []

    # what others left ----------------------------------------------------------------------------------------------------

    @pytest.mark.line(13)
    def test_foreign_files_are_no_objects_and_break_nothing(self, blobs, home):
        put(blobs, "mine/1")
        folder = os.fsencode(home / "blobs")
        for name in (b"foreign", b"mine/foreign", b"bad-\xff-utf8", b"back\\slash", b"new\nline"):
            Path(os.fsdecode(folder + b"/" + name)).write_bytes(b"not mine")
        os.mkfifo(home / "blobs/pipe")
        (home / "blobs/empty/folder").mkdir(parents=True)
        (home / "shadow").mkdir()
        (home / "shadow/zz").write_bytes(b"no spelling")
        assert keys_of(blobs) == ["mine/1"]
        assert blobs.list(delimiter="/").prefixes == ("mine/",)
        assert [blobs.get(key) for key in ("foreign", "pipe", "empty")] == [None, None, None]

    def test_a_foreign_file_in_the_way_is_left_alone(self, blobs, home):
        put(blobs, "other")
        (home / "blobs/taken").write_bytes(b"not mine")
        (home / "blobs/empty/folder").mkdir(parents=True)
        os.mkfifo(home / "blobs/pipe")
        for key in ("taken", "empty", "pipe", "empty/folder"):
            put(blobs, key, b"mine")
            assert read(blobs, key) == b"mine"
        assert keys_of(blobs) == ["empty", "empty/folder", "other", "pipe", "taken"]
        assert all(blobs.delete(key) for key in ("taken", "empty", "pipe"))
        assert (home / "blobs/taken").read_bytes() == b"not mine"

    def test_an_edited_file_is_no_object_any_more(self, blobs, home):
        put(blobs, "doc", b"bytes")
        (home / "blobs/doc").write_bytes(b"other")
        assert (read(blobs, "doc"), keys_of(blobs), blobs.delete("doc")) == (None, [], False)
        put(blobs, "doc", b"again")
        assert read(blobs, "doc") == b"again"
        assert (home / "blobs/doc").read_bytes() == b"other"

    def test_a_damaged_record_is_told_and_can_be_written_over(self, blobs, home):
        put(blobs, "doc", b"bytes")
        (record,) = (home / "meta").rglob("*.json")
        record.write_text('{"key": "doc"')
        for operation in (lambda: blobs.get("doc"), lambda: blobs.head("doc"), blobs.list):
            with pytest.raises(BackendRejected, match="damaged"):
                operation()
        put(blobs, "doc", b"again")
        assert (read(blobs, "doc"), keys_of(blobs)) == (b"again", ["doc"])

    def test_what_dead_writers_left_is_swept_and_what_lives_is_not(self, blobs, home):
        put(blobs, "old")
        digest = hashlib.sha256(b"unborn").hexdigest()
        (home / "meta" / digest[:2]).mkdir(exist_ok=True)
        unborn = home / "meta" / digest[:2] / f"{digest}.json"
        record = json.loads(next((home / "meta").rglob("*.json")).read_text())
        unborn.write_text(json.dumps({**record, "key": "unborn"}))
        dead, held, fresh = (home / "tmp" / f"{digest}.{name}" for name in ("dead", "held", "fresh"))
        for path in (dead, held, fresh):
            path.write_bytes(b"half")
        for path in (dead, held):
            os.utime(path, (OLD, OLD))
        with held.open("rb") as holder:
            fcntl.flock(holder, fcntl.LOCK_EX)
            again = LocalBlobs(FilesystemConfig(base_dir=str(home.parents[3])), mode=LAB, epoch=1)
            put(GuardedBlobs(again, scope=Scope("acme", "dev"), served_by=ServedBy(1, 1, "filesystem")), "new")
        assert sorted(path.name.partition(".")[2] for path in (home / "tmp").iterdir()) == ["fresh", "held"]
        assert not unborn.exists()
        assert keys_of(blobs) == ["new", "old"]

    # links ---------------------------------------------------------------------------------------------------------------

    @pytest.mark.line(109)
    def test_a_planted_link_is_never_followed(self, blobs, home, outside):
        put(blobs, "dir/passwd", b"mine")
        put(blobs, "passwd", b"mine")
        subprocess.run(["rm", "-r", home / "blobs/dir", home / "blobs/passwd"], check=True)
        (home / "blobs/dir").symlink_to(outside)
        (home / "blobs/passwd").symlink_to(outside / "passwd")
        (home / "blobs/broken").symlink_to(outside / "nothing")
        assert ([blobs.get(key) for key in ("dir/passwd", "passwd", "broken")], keys_of(blobs)) == ([None] * 3, [])
        assert not blobs.delete("dir/passwd")
        for key in ("dir/passwd", "passwd", "dir/new", "broken"):
            put(blobs, key, b"written")
            assert read(blobs, key) == b"written"
        assert [(path.name, path.read_bytes()) for path in outside.iterdir()] == [("passwd", b"secret")]

    @pytest.mark.line(109)
    @pytest.mark.parametrize(
        "prefix", ["../", "../../", "../" * 20, "dir/../../../", "./", "../../../globex/dev/_/blobs/"]
    )
    def test_a_prefix_leads_nowhere_but_into_the_scope(self, blobs, monkeypatch, prefix):
        put(blobs, "dir/doc")
        opened = []
        real = local_files_folders._opened

        def recorded(fd, name):
            opened.append(name)
            return real(fd, name)

        monkeypatch.setattr(local_files_folders, "_opened", recorded)
        assert blobs.list(prefix=prefix) == BlobPage((), (), None)
        assert not {b".", b".."}.intersection(opened)

    @pytest.mark.line(109)
    @pytest.mark.parametrize("name", [".", "..", "../..", "../../.."])
    def test_a_link_above_the_objects_is_refused(self, blobs, home, outside, name):
        put(blobs, "doc")
        folder = Path(os.path.normpath(home / name))
        folder.rename(folder.parent / "moved")
        folder.symlink_to(outside)
        for operation in (lambda: put(blobs, "doc"), lambda: blobs.get("doc"), blobs.list, lambda: blobs.delete("doc")):
            with pytest.raises(BackendRejected, match="Not a directory"):
                operation()
        assert [path.name for path in outside.iterdir()] == ["passwd"]

    @pytest.mark.line(109)
    @pytest.mark.parametrize("name", ["blobs", "meta", "tmp", ".lock"])
    def test_a_link_among_northstars_own_folders_is_refused(self, blobs, home, outside, name):
        put(blobs, "doc")
        (home / name).rename(home / "moved")
        (home / name).symlink_to(outside / "passwd" if name == ".lock" else outside)
        if name == "blobs":
            put(blobs, "new")  # the shadow can hold it
        else:
            with pytest.raises(BackendRejected):
                put(blobs, "new")
        assert [(path.name, path.read_bytes()) for path in outside.iterdir()] == [("passwd", b"secret")]

    @pytest.mark.line(109)
    def test_a_folder_that_turns_into_a_link_while_we_work_leads_nowhere(self, blobs, home, outside):
        put(blobs, "dir/passwd", b"mine")
        stop = threading.Event()

        def turn():
            folder, kept = home / "blobs/dir", home / "kept"
            while not stop.is_set():
                try:
                    folder.rename(kept)
                    folder.symlink_to(outside)
                    folder.unlink()
                    kept.rename(folder)
                except OSError:  # our own writer made the folder in between
                    subprocess.run(["rm", "-rf", kept], check=True)

        turning = threading.Thread(target=turn)
        turning.start()
        try:
            for number in range(100):
                try:
                    put(blobs, "dir/passwd", b"mine %d" % number)
                    assert read(blobs, "dir/passwd") != b"secret"
                    put(blobs, f"dir/{number}")
                    blobs.delete("dir/passwd")
                    assert "dir/secret" not in keys_of(blobs, prefix="dir/")
                except (BackendRejected, BackendUnavailable):
                    continue  # caught in the middle: refused
        finally:
            stop.set()
            turning.join()
        assert [(path.name, path.read_bytes()) for path in outside.iterdir()] == [("passwd", b"secret")]

    # failures ------------------------------------------------------------------------------------------------------------

    @pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EMFILE, errno.EIO])
    def test_a_full_or_failing_disk_is_unavailable(self, code):
        with pytest.raises(BackendUnavailable, match="not stored"), translated("The object 'x' was not stored"):
            raise OSError(code, "raw text")

    @pytest.mark.parametrize("code", [errno.EACCES, errno.EROFS, errno.ELOOP])
    def test_what_is_not_allowed_is_rejected(self, code):
        with pytest.raises(BackendRejected, match="not stored"), translated("The object 'x' was not stored"):
            raise OSError(code, "raw text")

    def test_a_write_that_the_disk_cuts_short_leaves_the_object_before(self, blobs, home):
        put(blobs, "doc", b"before")
        before = blobs.head("doc")
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
        try:
            with pytest.raises(BackendRejected, match="File too large"):
                put(blobs, "doc", b"x" * 200_000)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert (read(blobs, "doc"), blobs.head("doc"), list((home / "tmp").iterdir())) == (b"before", before, [])

    @pytest.mark.skipif(os.geteuid() == 0, reason="machine: the superuser is never refused")
    def test_a_folder_without_permission_is_rejected(self, blobs, home):
        put(blobs, "doc")
        (home / "tmp").chmod(0o500)
        try:
            with pytest.raises(BackendRejected, match="Permission denied"):
                put(blobs, "doc")
        finally:
            (home / "tmp").chmod(0o700)
        assert read(blobs, "doc") == b"data"

    @pytest.mark.line(142)
    def test_no_file_stays_open_after_any_outcome(self, blobs):
        put(blobs, "warm")
        before = len(list(Path("/dev/fd").iterdir()))
        put(blobs, "a/b/c")
        blobs.get("a/b/c")
        blobs.get("missing")
        read(blobs, "a/b/c")
        blobs.list(delimiter="/")
        for bad in (lambda: put(blobs, "a/b/c", sha256="0" * 64), lambda: blobs.copy("missing", "x")):
            with pytest.raises(Exception, match=r"SHA-256|no object"):
                bad()
        blobs.delete("a/b/c")
        assert len(list(Path("/dev/fd").iterdir())) == before

    @pytest.mark.line(142)
    def test_a_closed_store_says_so(self, blobs, driver):
        put(blobs, "doc")
        open_reader = blobs.get("doc")
        driver.close()
        driver.close()
        assert b"".join(open_reader.chunks) == b"data"
        for operation in (lambda: put(blobs, "doc"), lambda: blobs.delete("doc"), driver.ping):
            with pytest.raises(BackendUnavailable, match="closed"):
                operation()

    @pytest.mark.line(145)
    def test_a_store_that_can_be_written_to_answers_a_ping_and_leaves_nothing(self, driver, root):
        driver.prepare()
        driver.ping()
        assert list(root.iterdir()) == []
        root.rmdir()
        root.write_bytes(b"a file")
        with pytest.raises(BackendRejected):
            driver.ping()

    @pytest.mark.parametrize("mode", SELLABLE_MODES)
    def test_files_are_refused_outside_the_lab(self, mode):
        with pytest.raises(ForbiddenBackendClass, match=mode):
            LocalBlobs(FilesystemConfig(), mode=mode, epoch=1)

    def test_a_write_with_flushes_is_the_same_write(self, blobs, home):
        for data in (b"1", b"22"):
            put(blobs, "a/b", data)
            assert (read(blobs, "a/b"), (home / "blobs/a/b").read_bytes()) == (data, data)

    def test_another_process_sees_and_changes_the_same_objects(self, blobs, root):
        put(blobs, "doc", b"ours")
        script = (
            "from tests.crash.blob_writer import configured, opened\n"
            f"configured({str(root)!r})\n"
            f"blobs = opened({str(root)!r})\n"
            "assert b''.join(blobs.get('doc').chunks) == b'ours'\n"
            "blobs.put('doc', [b'theirs'], content_type='text/plain')\n"
        )
        subprocess.run([sys.executable, "-c", script], check=True, cwd=Path(__file__).parent.parent.parent)
        assert read(blobs, "doc") == b"theirs"
