"""Part six: what must be refused, with the exact error."""

from northstar.demo.client import Answer, Client
from northstar.demo.stage import API, EMPTY_ENV, OTHER_TENANT, Stage


def try_what_is_forbidden(stage: Stage, key: str) -> None:
    """Ask for what no client may have. Nothing here writes anything."""
    report = stage.report
    report.part("6. What is refused")
    path = stage.object_path(key)
    _check_other_tenant(stage, path)
    listing = f"{API}/storage/objects"
    nowhere = stage.demo.sending(X_Env=EMPTY_ENV).call("GET", listing)
    report.check(
        "without a route: an error that says how to make one",
        nowhere.summary() == "500 NO_ROUTE_CONFIGURED" and "/routing/routes" in _fix(nowhere),
        f"{nowhere.summary()}. Fix: {_fix(nowhere)}",
    )
    for promise, client, expected in (
        ("a client cannot choose its mode", stage.demo.sending(X_Mode="saas"), "403 MODE_MISMATCH"),
        ("nor its tenant", stage.demo.sending(X_Tenant_Id=OTHER_TENANT), "403 TENANT_MISMATCH"),
        ("nor an environment that its key is not for", stage.demo.sending(X_Env="dev"), "403 FORBIDDEN"),
        ("nor go without a key", Client(stage.demo.url, ""), "401 UNAUTHENTICATED"),
    ):
        report.equal(promise, expected, client.call("GET", listing).summary())


def _check_other_tenant(stage: Stage, path: str) -> None:
    mine = stage.demo.call("GET", path).status
    theirs = stage.other.call("GET", path)
    stage.report.check(
        "another tenant's key does not find the object",
        mine == 200 and theirs.summary() == "404 NOT_FOUND",
        f"{theirs.summary()}; with our key {mine}",
    )
    listed = list(stage.other.items(f"{API}/storage/objects", prefix=stage.prefix))
    stage.report.equal("nor does a listing show it one of ours", 0, len(listed))


def _fix(answer: Answer) -> str:
    return str((answer.json or {}).get("fix", ""))
