"""Runs the `routes` commands that bring routes in and out, in this process."""

import json
from io import StringIO
from typing import Any

from django.core.management import call_command

from routing.models import Route, StrategyLock, SurfaceAlias, Tenant


def run(*arguments: str) -> tuple[int, str]:
    """Run `routes <arguments>`; return the exit code and standard output."""
    out, code = StringIO(), 0
    try:
        call_command("routes", *arguments, stdout=out, stderr=StringIO())
    except SystemExit as stopped:
        code = int(stopped.code or 0)
    return code, out.getvalue()


def plan(*arguments: str) -> dict[str, Any]:
    """Run it with a JSON answer, which must agree with the exit code."""
    code, text = run(*arguments, "--format", "json")
    document: dict[str, Any] = json.loads(text)
    assert document["ok"] is (code == 0)
    return document


def actions(document: dict[str, Any]) -> dict[str, str]:
    """What becomes of each row, by its name."""
    return {step["name"]: step["action"] for step in document["steps"]}


def everything() -> dict[str, list[dict[str, Any]]]:
    """Every row that the registry mirrors, byte for byte, but for local ids and when a tenant or alias was stored."""
    local = {"id", "route_id"}
    tables = {
        "routes": Route.objects.order_by("tenant_id", "env", "resource_kind", "project_id").values(),
        "tenants": Tenant.objects.order_by("pk").values("tenant_id", "name", "mode"),
        "aliases": SurfaceAlias.objects.order_by("alias").values("alias", "canonical"),
        "locks": StrategyLock.objects.filter(released_at=None).order_by("created_at").values(),
    }
    return {
        name: [{field: value for field, value in row.items() if field not in local} for row in rows]
        for name, rows in tables.items()
    }
