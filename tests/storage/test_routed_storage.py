"""Django's files over a tenant's route: saved, read, listed and removed alike on every object backend, and nobody else's."""

import os
import threading
from datetime import UTC, datetime, timedelta
from io import BytesIO, StringIO
from itertools import count
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
from django.core.exceptions import SuspiciousFileOperation
from django.core.files.base import ContentFile, File
from django.core.files.uploadedfile import SimpleUploadedFile, TemporaryUploadedFile
from django.db import connections
from django.test import Client

from northstar.context import RequestContext
from northstar.errors import AlreadyExists, ForbiddenBackendClass, InvalidContext, NoRouteConfigured
from northstar.modes import SAAS
from routing.changes import RouteDraft, create_route, create_tenant, put_route
from storage.blobs import ABSENT
from storage.django import RoutedStorage, acting_for, tenant_context
from storage.errors import BackendUnavailable
from storage.opening import open_store
from tests.conftest import CAUSE
from tests.contract.stream_contract import run_together
from tests.object_places import OBJECT_BACKENDS, object_config

ACME = RequestContext("acme", "dev", "lab")
GLOBEX = RequestContext("globex", "dev", "lab")


def lead(tenant, backend, config, project=None):
    draft = RouteDraft(
        resource_kind="object_store",
        tenant_id=tenant,
        env="dev",
        project_id=project,
        backend_type=backend,
        config=config,
    )
    return create_route(draft, CAUSE)


@pytest.fixture(params=OBJECT_BACKENDS)
def backend(request) -> str:
    name: str = request.param
    return name


@pytest.fixture
def storage(request, backend, acme, globex) -> RoutedStorage:
    """Acme's files; acme's and globex's routes lead to one place."""
    config = object_config(request, backend)
    for tenant in ("acme", "globex"):
        lead(tenant, backend, config)
    return RoutedStorage(ACME)


def read(storage, name, mode="rb"):
    with storage.open(name, mode) as file:
        return file.read()


@pytest.mark.line(110, 112)
def test_a_file_is_saved_read_described_and_removed(storage):
    name = storage.save("reports/2026 ä.txt", ContentFile(b"one\r\ntwo\n"))
    assert (name, storage.exists(name), storage.size(name)) == ("reports/2026 ä.txt", True, 9)
    assert read(storage, name) == b"one\r\ntwo\n"
    assert read(storage, name, "r") == "one\ntwo\n"
    with storage.open(name) as file:
        assert [file.read(2), file.read(), file.name] == [b"on", b"e\r\ntwo\n", name]
    for moment in (storage.get_modified_time(name), storage.get_created_time(name)):
        assert abs(datetime.now(UTC) - moment) < timedelta(minutes=10)
    for _ in range(2):
        storage.delete(name)
    assert storage.exists(name) is False
    for call in (storage.open, storage.size, storage.get_modified_time):
        with pytest.raises(FileNotFoundError):
            call(name)


@pytest.mark.line(103, 104)
def test_saving_never_replaces_a_file_and_files_saved_at_once_all_stay(storage):
    first = storage.save("a.txt", ContentFile(b"first"))
    second = storage.save("a.txt", ContentFile(b"second"))
    assert first == "a.txt"
    assert second != first
    assert second.endswith(".txt")
    files, names = storage._files(), dict[int, str]()

    def save(number):
        for attempt in count():
            try:
                names[number] = files.create(f"at-once-{attempt}", File(BytesIO(b"%d" % number)), "text/plain")
            except AlreadyExists:
                continue
            return

    run_together(save, 4)
    assert len(set(names.values())) == 4
    assert {read(storage, name) for name in names.values()} == {b"0", b"1", b"2", b"3"}
    assert (read(storage, first), read(storage, second)) == (b"first", b"second")


def test_a_file_of_any_kind_of_upload_is_whole(storage):
    large = bytes(range(256)) * 40_000
    with TemporaryUploadedFile("large.bin", "application/x-large", len(large), None) as upload:
        upload.write(large)
        upload.seek(0)
        name = storage.save("uploads/large.bin", upload)
    assert (storage.size(name), read(storage, name)) == (len(large), large)
    small = storage.save(None, SimpleUploadedFile("small.png", b"\x89PNG\r\n\x1a\n", "image/png"))
    text = storage.save("text.txt", StringIO("Zürich"))
    empty = storage.save("empty", ContentFile(b""))
    with read_once(b"by a pipe") as pipe:
        piped = storage.save("piped", pipe)
    expected = [b"\x89PNG\r\n\x1a\n", "Zürich".encode(), b"", b"by a pipe"]
    assert [read(storage, one) for one in (small, text, empty, piped)] == expected


def test_an_upload_that_lies_on_disk_replaces_nothing_that_is_saved_meanwhile(folders, monkeypatch, settings, tmp_path):
    storage, saved, access = RoutedStorage(ACME), list[tuple[str, bytes]](), os.access

    def looked_at(path, mode):
        there = access(path, mode)
        if not saved and Path(path).name == "a.bin":
            saved.append((storage.save("a.bin", ContentFile(b"meanwhile")), b"meanwhile"))
        return there

    settings.FILE_UPLOAD_TEMP_DIR = tmp_path  # on the same disk, where moving is one step
    monkeypatch.setattr(os, "access", looked_at)
    with TemporaryUploadedFile("a.bin", "application/x-large", 5, None) as upload:
        upload.write(b"large")
        saved.append((storage.save("a.bin", upload), b"large"))
    assert [(name, read(storage, name)) for name, _ in saved] == saved


def test_what_a_browser_calls_an_upload_need_not_be_a_type(folders):
    name = RoutedStorage(ACME).save("a.txt", SimpleUploadedFile("a.txt", b"hello", "no type; \r\n at all"))
    assert open_store("object_store", ACME).head(name).content_type == "text/plain"


def read_once(content):
    """A file that cannot be rewound."""
    reading, writing = os.pipe()
    with os.fdopen(writing, "wb") as end:
        end.write(content)
    return os.fdopen(reading, "rb")


@pytest.mark.line(73)
def test_folders_and_files_are_listed_one_level_at_a_time(storage):
    for name in ("a.txt", "b/c.txt", "b/d/e.txt", "b.txt", "bc/f"):
        storage.save(name, ContentFile(b"x"))
    assert storage.listdir("") == (["b", "bc"], ["a.txt", "b.txt"])
    assert storage.listdir("b") == storage.listdir("/b/") == (["d"], ["c.txt"])
    assert storage.listdir("nothing/here") == ([], [])
    assert read(storage, storage.save("b", ContentFile(b"beside a folder"))) == b"beside a folder"


@pytest.mark.line(105)
def test_what_was_saved_is_an_object_and_an_object_is_a_file(storage):
    objects = open_store("object_store", ACME)
    name = storage.save("docs/read me.txt", SimpleUploadedFile("x", b"hello", "text/x-mine"))
    info = objects.head(name)
    assert (info.size, info.content_type) == (5, "text/x-mine")
    assert b"".join(objects.get(name).chunks) == b"hello"
    objects.put("docs/put", [b"by the API"], content_type="text/plain", expect=ABSENT)
    assert read(storage, "docs/put") == b"by the API"
    assert storage.listdir("docs") == ([], ["put", "read me.txt"])
    assert [entry.key for entry in objects.list(prefix="docs/").blobs] == ["docs/put", "docs/read me.txt"]
    storage.delete("docs/put")
    assert objects.head("docs/put") is None
    assert objects.delete(name) is True
    assert storage.exists(name) is False


@pytest.mark.line(113)
def test_a_url_reads_the_file_without_a_key(storage, backend):
    name = storage.save("a b.txt", ContentFile(b"for anybody"))
    url = storage.url(name)
    if backend == "filesystem":
        answer: Any = Client().get(url)
        assert (answer.status_code, b"".join(answer.streaming_content)) == (200, b"for anybody")
    else:
        with urlopen(url, timeout=20) as answer:
            assert answer.read() == b"for anybody"


def test_another_tenant_project_or_environment_sees_no_file(storage, backend):
    name = storage.save("secret.txt", ContentFile(b"acme's"))
    for context in (GLOBEX, RequestContext("acme", "dev", "lab", project_id="atlas")):
        other = RoutedStorage(context)
        assert (other.exists(name), other.listdir("")) == (False, ([], []))
        other.delete(name)
        assert other.save(name, ContentFile(b"mine")) == name
    assert read(storage, name) == b"acme's"
    with pytest.raises(NoRouteConfigured):
        RoutedStorage(RequestContext("acme", "prod", "lab")).exists(name)


@pytest.mark.line(109)
@pytest.mark.parametrize("name", ["", "../x", "a/../../x", "/etc/passwd", "a//b", "a/", ".", "x" * 901, "a\x00b"])
def test_a_name_that_no_object_may_have_is_refused(acme, name):
    lead("acme", "filesystem", {})
    storage = RoutedStorage(ACME)
    with pytest.raises(SuspiciousFileOperation):
        storage.save(name, ContentFile(b"x", name=name))
    with pytest.raises((SuspiciousFileOperation, ValueError)):
        storage.delete(name)


# the context and the route ------------------------------------------------------------------------------------------------


@pytest.fixture
def folders(acme, globex) -> None:
    lead("acme", "filesystem", {"base_dir": "acme"})
    lead("globex", "filesystem", {"base_dir": "globex"})


def test_the_tenant_is_whom_the_block_acts_for_and_nobody_outside_of_it(folders):
    storage = RoutedStorage()
    with acting_for(tenant_context("acme")):
        storage.save("a.txt", ContentFile(b"acme's"))
        with acting_for(GLOBEX):
            assert storage.exists("a.txt") is False
        assert storage.exists("a.txt") is True
    with pytest.raises(InvalidContext, match="for which tenant"):
        storage.exists("a.txt")
    with pytest.raises(InvalidContext, match="no tenant"):
        tenant_context("nobody")


def test_a_context_is_never_another_threads(own_database, folders):
    seen = []

    def ask():
        try:
            RoutedStorage().exists("a.txt")
        except InvalidContext as error:
            seen.append(error.code)
        finally:
            connections.close_all()

    with acting_for(ACME):
        thread = threading.Thread(target=ask)
        thread.start()
        thread.join()
    assert seen == ["INVALID_CONTEXT"]


def test_a_function_may_say_the_context_of_each_call(folders):
    contexts = iter([ACME, GLOBEX])
    storage = RoutedStorage(lambda: next(contexts))
    assert [storage.exists("a.txt"), storage.exists("a.txt")] == [False, False]
    assert next(contexts, None) is None


def test_a_switched_route_is_seen_at_once_and_what_was_stored_stays_behind(folders):
    storage = RoutedStorage(ACME)
    storage.save("a.txt", ContentFile(b"old"))
    draft = RouteDraft(
        resource_kind="object_store", tenant_id="acme", backend_type="filesystem", config={"base_dir": "new"}
    )
    put_route(draft, CAUSE)
    assert storage.exists("a.txt") is False
    assert storage.save("a.txt", ContentFile(b"new")) == "a.txt"
    put_route(
        RouteDraft(
            resource_kind="object_store", tenant_id="acme", backend_type="filesystem", config={"base_dir": "acme"}
        ),
        CAUSE,
    )
    assert read(storage, "a.txt") == b"old"


def test_outside_a_lab_no_folder_is_opened(folders, system):
    create_tenant("initech", "Initech", SAAS, CAUSE)
    with pytest.raises((ForbiddenBackendClass, NoRouteConfigured)):
        RoutedStorage(tenant_context("initech")).save("a", ContentFile(b"x"))
    with pytest.raises(ForbiddenBackendClass):
        RoutedStorage(RequestContext("acme", "dev", SAAS)).save("a", ContentFile(b"x"))


def test_a_link_never_leads_a_file_out_of_the_routes_folder(folders, tmp_path):
    storage = RoutedStorage(ACME)
    storage.save("a.txt", ContentFile(b"x"))
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_bytes(b"secret")
    blobs = Path(next(tmp_path.glob("acme/object_store/acme/dev/*/blobs")))
    (blobs / "out").symlink_to(outside)
    (blobs / "file").symlink_to(outside / "secret")
    for call in (lambda: storage.open("out/secret"), lambda: storage.open("file"), lambda: storage.listdir("out")):
        with pytest.raises(SuspiciousFileOperation):
            call()
    with pytest.raises(SuspiciousFileOperation):
        storage.save("out/planted", ContentFile(b"x"))
    assert sorted(path.name for path in outside.iterdir()) == ["secret"]


def test_files_are_only_read_when_opened_and_have_no_path(folders):
    storage = RoutedStorage(ACME)
    for refused in (lambda: storage.open("a", "wb"), lambda: storage.open("a", "r+")):
        with pytest.raises(ValueError, match="save"):
            refused()
    for missing in (storage.path, storage.get_accessed_time):
        with pytest.raises(NotImplementedError):
            missing("a")


@pytest.mark.parametrize(
    ("backend_type", "config"),
    [
        ("s3", {"bucket": "acme", "region": "eu-central-1", "access_key_id": "a", "secret_access_key": "canary-key"}),
        ("azure_blob", {"account": "acmelab", "container": "acme", "account_key": "Y2FuYXJ5LWtleQ=="}),
        ("gcs", {"bucket": "acme-files"}),
    ],
)
def test_a_service_that_cannot_be_reached_is_told_in_our_words(acme, settings, backend_type, config):
    settings.NORTHSTAR_ALLOWED_ENDPOINTS = ["http://127.0.0.1:9"]
    lead("acme", backend_type, {**config, "endpoint": "http://127.0.0.1:9"})
    with pytest.raises(BackendUnavailable) as told:
        RoutedStorage(ACME).save("a", ContentFile(b"x"))
    assert "canary" not in f"{told.value.detail} {told.value.__cause__}"
