"""Objects as plain files: `object_store/{tenant}/{env}/{surface}/blobs/{key}` holds an object's bytes and nothing else.

Beside `blobs/` stand `meta/` (a JSON record per object), `shadow/` (objects whose literal path is impossible), `tmp/` (bytes
on their way in), `uploads/` (all of these once more, for uploads that nobody has registered yet) and `.lock`. Any number of
processes may read and write. Nothing is kept open between calls, so a driver survives a fork, and folders that are moved or
removed under it.
"""

import os
import sys
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import ClassVar, Final

from storage.backends.blob_listing import first_floor
from storage.backends.filesystem_config import FilesystemConfig, refuse_outside_lab, root_folder
from storage.backends.local_files_folders import Folder, translated
from storage.backends.local_files_listing import SortedWalk, SpelledWalk, page
from storage.backends.local_files_names import (
    BLOBS,
    SHADOW,
    UPLOADS,
    data_place,
    file_uri,
    home_folders,
    homes_below,
    needs_shadow,
    spell,
    unspell,
)
from storage.backends.local_files_records import Record, Version, new_version
from storage.backends.local_files_scope import Found, ScopeFolder, Standing
from storage.backends.local_files_uploads import FileChunks, Upload
from storage.blobs import (
    ABSENT,
    ANY,
    Area,
    Blob,
    BlobEntry,
    BlobExpect,
    BlobInfo,
    BlobLimits,
    BlobPage,
    BlobRef,
    ByteRange,
    Grant,
    Presigned,
    RangeRequest,
    Swept,
)
from storage.errors import AlreadyExists, BackendRejected, BackendUnavailable, NotFound, VersionConflict
from storage.files import ScopeFiles
from storage.keys import Scope

SWEEP_SECONDS: Final = 300
"""A driver looks for what dead writers left at its first write to a scope, and then at most this often."""


class LocalBlobs:
    """The blob contract over a local folder, in mode lab only. `storage.blobs.BlobDriver` says what each method promises."""

    Config: ClassVar = FilesystemConfig
    limits: ClassVar[BlobLimits] = BlobLimits(
        presign=False, presign_post=False, presign_pins_type=False, presign_pins_size=False
    )

    def __init__(self, config: FilesystemConfig, *, mode: str, epoch: int) -> None:
        refuse_outside_lab(mode)
        self._root = root_folder(config)
        self._durable = config.durability == "fsync"
        self._epoch = epoch
        self._closed = False
        self._folding: bool | None = None
        self._swept: dict[tuple[Scope, Area], float] = {}
        self._sweeping = threading.Lock()

    def put(
        self,
        ref: BlobRef,
        chunks: Iterable[bytes],
        *,
        content_type: str,
        metadata: Mapping[str, str],
        expect: BlobExpect = ANY,
        sha256: str | None = None,
        size: int | None = None,
    ) -> BlobInfo:
        failing = partial(translated, f"The object {ref.key!a} was not stored")
        with failing():
            home = self._made(ref)
        with home:
            with failing():
                self._sweep_if_due(home, ref)
                upload = Upload(home, ref.key)
            with upload:
                for chunk in chunks:  # what the caller's iterator raises is the caller's, and comes out unchanged
                    with failing():
                        upload.write(chunk)
                upload.check(sha256=sha256, size=size)
                with failing():
                    upload.settle()
                    return self._publish(home, ref, upload, expect=expect, content_type=content_type, metadata=metadata)

    def _publish(
        self,
        home: ScopeFolder,
        ref: BlobRef,
        upload: Upload,
        *,
        expect: BlobExpect,
        content_type: str,
        metadata: Mapping[str, str],
    ) -> BlobInfo:
        with home.locked():
            standing = home.standing(ref.key)
            _check_expectation(expect, standing.version, ref.key)
            version = new_version(
                upload.generation(newer_than=standing.newest_mtime_ns),
                sha256=upload.sha256,
                content_type=content_type,
                metadata=metadata,
                epoch=self._epoch,
                previous=standing.version,
            )
            before = (standing.version,) if standing.version else ()
            record = Record(ref.key, self._in_shadow(home, ref.key, standing), (version, *before))
            home.publish(upload.tmp, upload.name, record)
            upload.published()
        return self._info(ref, record, version)

    def _in_shadow(self, home: ScopeFolder, key: str, standing: Standing) -> bool:
        if standing.record and standing.version:
            return standing.record.shadow  # an object never moves: readers without a lock depend on it
        if self._folding is None:
            self._folding = home.folds_names()
        return needs_shadow(key, folding=self._folding) or not home.is_free(key)

    def get(self, ref: BlobRef, wanted: RangeRequest | None = None) -> Blob | None:
        with translated(f"The object {ref.key!a} could not be read"), self._entered(ref.scope, ref.area) as home:
            found = home.opened(ref.key) if home else None
            if found is None:
                return None
            record, version, fd = found
            info = self._info(ref, record, version)
        span = wanted.within(info.size) if wanted else ByteRange(0, info.size)
        return Blob(info, FileChunks(fd, span or ByteRange(0, 0)), span)

    def head(self, ref: BlobRef) -> BlobInfo | None:
        with translated(f"The object {ref.key!a} could not be read"), self._entered(ref.scope, ref.area) as home:
            found = home.current(ref.key) if home else None
            return self._info(ref, *found) if found else None

    def delete(self, ref: BlobRef, *, expect: BlobExpect = ANY) -> bool:
        with translated(f"The object {ref.key!a} was not deleted"), self._entered(ref.scope, ref.area) as home:
            if home is None:
                _check_expectation(expect, None, ref.key)
                return False
            return _removed(home, ref.key, expect)

    def list(
        self,
        scope: Scope,
        *,
        area: Area = Area.OBJECTS,
        prefix: str = "",
        delimiter: str = "",
        limit: int = 1000,
        cursor: str | None = None,
    ) -> BlobPage:
        with translated("The objects could not be listed"), self._entered(scope, area) as home:
            if home is None:
                return BlobPage(())
            return _page(home, prefix=prefix, delimiter=delimiter, limit=limit, cursor=cursor)

    def copy(
        self,
        source: BlobRef,
        target: BlobRef,
        *,
        expect: BlobExpect = ANY,
        source_etag: str | None = None,
        content_type: str | None = None,
        metadata: Mapping[str, str] | None = None,
        sha256: str | None = None,
    ) -> BlobInfo:
        blob = self.get(source)
        if blob is None:
            raise NotFound(f"There is no object {source.key!a} to copy.")
        info = blob.info
        if source_etag not in {None, info.etag}:
            getattr(blob.chunks, "close", int)()
            raise VersionConflict(f"The object {source.key!a} to copy was replaced.", fix="Read it again.")
        return self.put(
            target,
            blob.chunks,
            content_type=content_type or info.content_type,
            metadata=info.metadata if metadata is None else metadata,
            expect=expect,
            sha256=sha256 or info.sha256,
            size=info.size,
        )

    def presign(self, ref: BlobRef, grant: Grant) -> Presigned:  # noqa: ARG002 - the limits declare that it cannot
        raise BackendRejected("A folder takes no presigned requests: Northstar serves them itself.")

    def files(self, scope: Scope) -> ScopeFiles:
        """Return the scope's files, by Django's own storage; each is an object too, once it is whole."""
        from storage.backends.django_local import local_files  # noqa: PLC0415 - it needs Django's settings

        self._refuse_closed()
        folder = self._root.joinpath(*map(os.fsdecode, (*home_folders(scope, Area.OBJECTS), BLOBS)))
        return local_files(folder, lambda name, content_type: self._adopt(BlobRef(scope, name), content_type))

    def _adopt(self, ref: BlobRef, content_type: str) -> None:
        """Give bytes that stand where an object's would stand their record, unless the key has one."""
        with translated(f"The file {ref.key!a} was stored, but is no object yet"), self._made(ref) as home:
            if self._folding is None:
                self._folding = home.folds_names()
            if not needs_shadow(ref.key, folding=self._folding):
                home.adopt(ref.key, lambda found: _first_version(found, content_type, self._epoch))

    def sweep(self, tenant: str, env: str, *, before: datetime, dry_run: bool = False) -> Swept:
        self._refuse_closed()
        uploads = parts = 0
        with translated("The uploads could not be swept"), Folder.at(self._root_made(), durable=self._durable) as root:
            for folders in homes_below(root, tenant, env):
                with ScopeFolder(root.below(folders)) as home:
                    parts += home.sweep(dry_run=dry_run)
                    uploads += _swept_uploads(home, before, dry_run=dry_run) if folders[-1] == UPLOADS else 0
        return Swept(uploads, parts)

    def prepare(self) -> None:
        with translated("The base folder could not be made"):
            self._root.mkdir(parents=True, exist_ok=True)

    def ping(self) -> None:
        self._refuse_closed()
        self.prepare()
        with translated("The base folder cannot be written to"), Folder.at(self._root, durable=False) as root:
            name = f".northstar-ping-{os.getpid()}-{threading.get_ident()}".encode()
            os.close(root.create_file(name))
            root.remove(name)

    def close(self) -> None:
        self._closed = True

    def _refuse_closed(self) -> None:
        if self._closed:
            raise BackendUnavailable("This store is closed.", fix="Open it again.")

    def _root_made(self) -> Path:
        self._root.mkdir(parents=True, exist_ok=True)
        return self._root

    def _made(self, ref: BlobRef) -> ScopeFolder:
        self._refuse_closed()
        with Folder.at(self._root_made(), durable=self._durable) as root:
            return ScopeFolder(root.below(home_folders(ref.scope, ref.area), create=True))

    @contextmanager
    def _entered(self, scope: Scope, area: Area) -> Iterator[ScopeFolder | None]:
        self._refuse_closed()
        try:
            with Folder.at(self._root, durable=self._durable) as root:
                home = ScopeFolder(root.below(home_folders(scope, area)))
        except FileNotFoundError:
            yield None  # nothing was ever written here
            return
        with home:
            yield home

    def _sweep_if_due(self, home: ScopeFolder, ref: BlobRef) -> None:
        now = time.monotonic()
        with self._sweeping:
            if now < self._swept.get((ref.scope, ref.area), now):
                return
            self._swept[ref.scope, ref.area] = now + SWEEP_SECONDS
        home.sweep()

    def _info(self, ref: BlobRef, record: Record, version: Version) -> BlobInfo:
        place = data_place(record.key, shadow=record.shadow)
        return BlobInfo(
            key=record.key,
            size=version.generation.size,
            sha256=version.sha256,
            etag=version.etag,
            content_type=version.content_type,
            uri=file_uri(self._root, home_folders(ref.scope, ref.area), place),
            modified_at=version.modified_at,
            metadata=version.metadata,
        )


def _first_version(found: Found, content_type: str, epoch: int) -> Version:
    return new_version(
        found.generation,
        sha256=found.sha256,
        content_type=content_type,
        metadata={},
        epoch=epoch,
        previous=None,
    )


def _page(
    home: ScopeFolder, *, prefix: str = "", delimiter: str = "", limit: int = sys.maxsize, cursor: str | None = None
) -> BlobPage:
    start, floor = prefix.encode(), first_floor(prefix, delimiter, cursor)

    def entries(top: bytes, path: bytes) -> Iterator[tuple[bytes, bool]]:
        return home.entries((top, *path.split(b"/")[:-1]))

    walks: list[SortedWalk | SpelledWalk] = [
        SortedWalk(partial(entries, BLOBS), prefix=start, floor=floor),
        SpelledWalk(partial(entries, SHADOW), prefix=start, floor=floor, spell=spell, unspell=unspell),
    ]
    return page(walks, partial(_entry, home), prefix=prefix, delimiter=delimiter, limit=limit)


def _entry(home: ScopeFolder, key: str) -> BlobEntry | None:
    found = home.current(key)
    if found is None:
        return None
    _, version = found
    return BlobEntry(key, version.generation.size, version.etag, version.modified_at)


def _swept_uploads(home: ScopeFolder, before: datetime, *, dry_run: bool) -> int:
    late = [entry.key for entry in _page(home).blobs if entry.modified_at < before]
    return sum(dry_run or _removed(home, key) for key in late)


def _removed(home: ScopeFolder, key: str, expect: BlobExpect = ANY) -> bool:
    with home.locked(), home.tmp() as tmp:
        standing = home.standing(key)
        _check_expectation(expect, standing.version, key)
        if standing.record is None or standing.version is None:
            home.forget(key)
            return False
        home.withdraw(tmp, standing.record)
        return True


def _check_expectation(expect: BlobExpect, version: Version | None, key: str) -> None:
    if expect is ABSENT and version:
        raise AlreadyExists(f"The object {key!a} exists.", fix="Choose another key, or allow it to be replaced.")
    if isinstance(expect, str) and (version is None or version.etag != expect):
        found = f"has the ETag {version.etag}" if version else "does not exist"
        raise VersionConflict(f"The object {key!a} {found}; {expect!a} was expected.", fix="Read it again.")
