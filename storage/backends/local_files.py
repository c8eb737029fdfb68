"""Objects as plain files: `object_store/{tenant}/{env}/{surface}/blobs/{key}` holds an object's bytes and nothing else.

Beside `blobs/` stand `meta/` (a JSON record per object), `shadow/` (objects whose literal path is impossible), `tmp/` (bytes
on their way in) and `.lock`. Any number of processes may read and write. Nothing is kept open between calls, so a driver
survives a fork, and folders that are moved or removed under it.
"""

import os
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import ClassVar, Final

from storage.backends.filesystem_config import FilesystemConfig, refuse_outside_lab, root_folder
from storage.backends.local_files_folders import Folder, translated
from storage.backends.local_files_listing import SortedWalk, SpelledWalk, first_floor, page
from storage.backends.local_files_names import (
    BLOBS,
    SHADOW,
    data_place,
    file_uri,
    needs_shadow,
    scope_folders,
    spell,
    unspell,
)
from storage.backends.local_files_records import Record, Version, new_version
from storage.backends.local_files_scope import ScopeFolder, Standing
from storage.backends.local_files_uploads import FileChunks, Upload
from storage.blobs import (
    ABSENT,
    ANY,
    Blob,
    BlobExpect,
    BlobInfo,
    BlobLimits,
    BlobPage,
    BlobRef,
    ByteRange,
    RangeRequest,
)
from storage.errors import AlreadyExists, BackendUnavailable, NotFound, VersionConflict
from storage.keys import Scope

SWEEP_SECONDS: Final = 300
"""A driver looks for what dead writers left at its first write to a scope, and then at most this often."""


class LocalBlobs:
    """The blob contract over a local folder, in mode lab only. `storage.blobs.BlobDriver` says what each method promises."""

    Config: ClassVar = FilesystemConfig
    limits: ClassVar[BlobLimits] = BlobLimits()

    def __init__(self, config: FilesystemConfig, *, mode: str, epoch: int) -> None:
        refuse_outside_lab(mode)
        self._root = root_folder(config)
        self._durable = config.durability == "fsync"
        self._epoch = epoch
        self._closed = False
        self._folding: bool | None = None
        self._swept: dict[Scope, float] = {}
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
            home = self._made(ref.scope)
        with home:
            with failing():
                self._sweep_if_due(home, ref.scope)
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
        return self._info(ref.scope, record, version)

    def _in_shadow(self, home: ScopeFolder, key: str, standing: Standing) -> bool:
        if standing.record and standing.version:
            return standing.record.shadow  # an object never moves: readers without a lock depend on it
        if self._folding is None:
            self._folding = home.folds_names()
        return needs_shadow(key, folding=self._folding) or not home.is_free(key)

    def get(self, ref: BlobRef, wanted: RangeRequest | None = None) -> Blob | None:
        with translated(f"The object {ref.key!a} could not be read"), self._entered(ref.scope) as home:
            found = home.opened(ref.key) if home else None
            if found is None:
                return None
            record, version, fd = found
            info = self._info(ref.scope, record, version)
        span = wanted.within(info.size) if wanted else ByteRange(0, info.size)
        return Blob(info, FileChunks(fd, span or ByteRange(0, 0)), span)

    def head(self, ref: BlobRef) -> BlobInfo | None:
        with translated(f"The object {ref.key!a} could not be read"), self._entered(ref.scope) as home:
            return self._described(home, ref.scope, ref.key) if home else None

    def delete(self, ref: BlobRef, *, expect: BlobExpect = ANY) -> bool:
        with translated(f"The object {ref.key!a} was not deleted"), self._entered(ref.scope) as home:
            if home is None:
                _check_expectation(expect, None, ref.key)
                return False
            with home.locked(), home.tmp() as tmp:
                standing = home.standing(ref.key)
                _check_expectation(expect, standing.version, ref.key)
                if standing.record is None or standing.version is None:
                    home.forget(ref.key)
                    return False
                home.withdraw(tmp, standing.record)
                return True

    def list(
        self, scope: Scope, *, prefix: str = "", delimiter: str = "", limit: int = 1000, cursor: str | None = None
    ) -> BlobPage:
        with translated("The objects could not be listed"), self._entered(scope) as home:
            if home is None:
                return BlobPage(())
            start, floor = prefix.encode(), first_floor(prefix, delimiter, cursor)

            def entries(top: bytes, path: bytes) -> Iterator[tuple[bytes, bool]]:
                return home.entries((top, *path.split(b"/")[:-1]))

            walks: list[SortedWalk | SpelledWalk] = [
                SortedWalk(partial(entries, BLOBS), prefix=start, floor=floor),
                SpelledWalk(partial(entries, SHADOW), prefix=start, floor=floor, spell=spell, unspell=unspell),
            ]
            describe = partial(self._described, home, scope)
            return page(walks, describe, prefix=prefix, delimiter=delimiter, limit=limit)

    def copy(self, source: BlobRef, target: BlobRef, *, expect: BlobExpect = ANY) -> BlobInfo:
        blob = self.get(source)
        if blob is None:
            raise NotFound(f"There is no object {source.key!a} to copy.")
        info = blob.info
        return self.put(
            target,
            blob.chunks,
            content_type=info.content_type,
            metadata=info.metadata,
            expect=expect,
            sha256=info.sha256,
            size=info.size,
        )

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

    def _made(self, scope: Scope) -> ScopeFolder:
        self._refuse_closed()
        self._root.mkdir(parents=True, exist_ok=True)
        with Folder.at(self._root, durable=self._durable) as root:
            return ScopeFolder(root.below(scope_folders(scope), create=True))

    @contextmanager
    def _entered(self, scope: Scope) -> Iterator[ScopeFolder | None]:
        self._refuse_closed()
        try:
            with Folder.at(self._root, durable=self._durable) as root:
                home = ScopeFolder(root.below(scope_folders(scope)))
        except FileNotFoundError:
            yield None  # nothing was ever written here
            return
        with home:
            yield home

    def _sweep_if_due(self, home: ScopeFolder, scope: Scope) -> None:
        now = time.monotonic()
        with self._sweeping:
            if now < self._swept.get(scope, now):
                return
            self._swept[scope] = now + SWEEP_SECONDS
        with home.locked():
            home.sweep()

    def _described(self, home: ScopeFolder, scope: Scope, key: str) -> BlobInfo | None:
        found = home.current(key)
        return self._info(scope, *found) if found else None

    def _info(self, scope: Scope, record: Record, version: Version) -> BlobInfo:
        return BlobInfo(
            key=record.key,
            size=version.generation.size,
            sha256=version.sha256,
            etag=version.etag,
            content_type=version.content_type,
            uri=file_uri(self._root, scope, data_place(record.key, shadow=record.shadow)),
            modified_at=version.modified_at,
            created_at=version.created_at,
            metadata=version.metadata,
        )


def _check_expectation(expect: BlobExpect, version: Version | None, key: str) -> None:
    if expect is ABSENT and version:
        raise AlreadyExists(f"The object {key!a} exists.", fix="Choose another key, or allow it to be replaced.")
    if isinstance(expect, str) and (version is None or version.etag != expect):
        found = f"has the ETag {version.etag}" if version else "does not exist"
        raise VersionConflict(f"The object {key!a} {found}; {expect!a} was expected.", fix="Read it again.")
