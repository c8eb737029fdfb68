"""The presigned contracts over files: a folder takes no such requests, so Northstar signs and serves them itself."""

import threading
from collections.abc import Iterator
from itertools import product
from typing import Any

import pytest
from django.core.servers.basehttp import ThreadedWSGIServer, WSGIRequestHandler
from django.core.wsgi import get_wsgi_application

from northstar.context import RequestContext
from northstar.modes import LAB
from routing.changes import RouteDraft, create_route, create_tenant
from storage.blob_guard import GuardedBlobs
from storage.opening import open_store
from tests.conftest import CAUSE
from tests.contract.blob_contract import OpenBlobs
from tests.contract.blob_contract_presigned import BlobPresignedContract
from tests.contract.blob_contract_uploads import BlobUploadContract


class _Handler(WSGIRequestHandler):
    def get_environ(self) -> dict[str, Any]:
        """The standard library's would call a body without a type text/plain."""
        return {**super().get_environ(), "CONTENT_TYPE": self.headers.get("Content-Type", "")}


@pytest.fixture
def served_at(own_database) -> Iterator[str]:
    """The application behind a real socket, in this process, so that it serves the routes and files of this test."""
    server = ThreadedWSGIServer(("127.0.0.1", 0), _Handler, ipv6=False)
    server.daemon_threads = True
    server.set_app(get_wsgi_application())
    thread = threading.Thread(target=server.serve_forever, args=[0.01], daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/api/v1/storage/presigned/"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def open_blobs(own_database) -> OpenBlobs:
    """Open the files as a request does: over routes, whose ids and revisions our own signatures name."""
    for tenant, env in product(("acme", "acme-corp", "globex"), ("dev", "dev2")):
        if env == "dev":
            create_tenant(tenant, tenant.title(), LAB, CAUSE)
        route = RouteDraft(
            resource_kind="object_store",
            tenant_id=tenant,
            env=env,
            backend_type="filesystem",
            config={"durability": "none"},
        )
        create_route(route, CAUSE)

    def open_them(tenant="acme", env="dev", project=None, surface="_") -> GuardedBlobs:
        context = RequestContext(tenant, env, LAB, project_id=project, surface_id=surface)
        blobs: GuardedBlobs = open_store("object_store", context)._blobs
        return blobs

    return open_them


class TestPresigned(BlobPresignedContract):
    backend = "filesystem"


class TestUploads(BlobUploadContract):
    backend = "filesystem"
