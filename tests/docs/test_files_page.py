"""The page on Django's files: its example runs as it stands, and its admin takes an upload."""

import re
from typing import Any

import pytest
from django.apps import apps
from django.contrib import admin
from django.contrib.admin import AdminSite
from django.contrib.auth.models import User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.http import HttpResponse
from django.test import RequestFactory

from northstar.context import RequestContext
from storage.django import acting_for, tenant_context
from storage.opening import open_store
from tests.conftest import filesystem_routes
from tests.docs.test_documents import ROOT

PAGE = (ROOT / "docs/files.md").read_text(encoding="utf-8")
EXAMPLE, IN_THE_ADMIN = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def ran() -> dict[str, Any]:
    """The names of the example's first lines. The model joins no app that others see."""
    names: dict[str, Any] = {"__name__": "routing.models.of_an_example"}
    head = EXAMPLE.partition("with acting_for")[0]
    exec(head, names)
    del apps.all_models["routing"]["report"]
    apps.clear_cache()
    return names


def test_the_example_has_at_most_ten_lines_and_keeps_a_file_where_the_route_says(acme, ran, capsys):
    assert len([line for line in EXAMPLE.splitlines() if line.strip()]) <= 10
    filesystem_routes(acme)
    exec("with acting_for" + EXAMPLE.partition("with acting_for")[2], ran)
    told = capsys.readouterr().out
    assert re.fullmatch(r"reports/\d{4}/q1.txt 12 /api/v1/storage/presigned/\S+ b'All is well.'\n", told)
    key = told.split()[0]
    assert open_store("object_store", RequestContext("acme", "dev", "lab")).head(key).size == 12


def test_an_upload_in_the_admin_goes_where_the_route_says(acme, ran):
    filesystem_routes(acme)
    names = {**ran, "admin": admin}
    exec(IN_THE_ADMIN, names)
    model = ran["Report"]
    with connection.cursor() as cursor:
        cursor.execute(f'CREATE TABLE {model._meta.db_table} (id integer PRIMARY KEY, "file" varchar(100))')
    pages = names["ReportAdmin"](model, AdminSite())
    pages.log_addition = pages.construct_change_message = lambda *_: []
    upload = SimpleUploadedFile("q2.txt", b"Still well.", "text/plain")
    request: Any = RequestFactory().post("/", {"file": upload, "_continue": ""})
    request.user, request._dont_enforce_csrf_checks = User(is_superuser=True, is_active=True), True
    request._messages = type("Silent", (), {"add": lambda *_: None})()
    pages.response_add = lambda *_args, **_kwargs: HttpResponse()
    pages.changeform_view(request)
    with acting_for(tenant_context("acme")):
        [stored] = model.objects.all()
        assert (stored.file.name.endswith("/q2.txt"), stored.file.read()) == (True, b"Still well.")
        stored.file.close()
