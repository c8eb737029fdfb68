"""Part four: the object route flips to another folder, and the same call writes elsewhere."""

from pathlib import Path
from typing import Any

from northstar.demo.client import Answer, Client
from northstar.demo.stage import API, FIRST_ROOT, SECOND_ROOT, Stage, checksums, sha256, stream_path

ROUTES = f"{API}/routing/routes"
RATIONALE = "The demo shows a flip."
SWITCHED = "ROUTE_BACKEND_SWITCHED"


def point_objects_at(stage: Stage, base_dir: str, why: str) -> Answer:
    """Create the demo's object route, or flip it to this folder; the route that stands there already is left as it is."""
    body = {
        "resource_kind": "object_store",
        "backend_type": "filesystem",
        "config": {"base_dir": base_dir},
        "switch_rationale": why,
    }
    return stage.demo.need("POST", ROUTES, data=body)


def flip_objects(stage: Stage, key: str) -> None:
    """Repeat one PUT before and after the flip; then look into both folders, the trail and both event streams."""
    report = stage.report
    report.part("4. A route flips")
    content = (stage.project / key).read_bytes()
    path = stage.object_path(key)
    earlier = stage.demo.need("PUT", path, body=content)
    first = checksums(stage.first_root)
    report.say(f"  POST {ROUTES}: object_store of t_demo/{stage.env} from {FIRST_ROOT} to {SECOND_ROOT}")
    route = point_objects_at(stage, SECOND_ROOT, RATIONALE).json
    missing = stage.demo.call("GET", path)
    report.equal("the flip is in force at once; data stays where it was written", "404 NOT_FOUND", missing.summary())
    later = stage.demo.need("PUT", path, body=content)
    _check_folders(stage, key, content, first)
    revisions = [int(answer.headers["x-northstar-route-revision"]) for answer in (earlier, later)]
    report.check("the answer names the new revision", revisions[1] > revisions[0], f"{revisions[0]} → {revisions[1]}")
    change = _check_audit(stage, route["id"])
    if change:
        _check_streams(stage, str(change["change_id"]))


def _check_folders(stage: Stage, key: str, content: bytes, first: dict[str, str]) -> None:
    report = stage.report
    here = [path for path, digest in checksums(stage.second_root).items() if _is_object(path, key, digest, content)]
    seen = str(Path(here[0]).relative_to(stage.home)) if here else "nothing there"
    report.check("the same PUT now writes into the other folder", bool(here), seen)
    untouched = checksums(stage.first_root) == first
    report.check("the first folder is untouched", untouched, f"{len(first)} files, each with the same SHA-256")


def _is_object(path: str, key: str, digest: str, content: bytes) -> bool:
    return Path(path).name == Path(key).name and digest == sha256(content)


def _check_audit(stage: Stage, route_id: int) -> dict[str, Any] | None:
    report = stage.report
    trail = stage.demo.need("GET", f"{API}/routing/audit", query={"route": route_id, "limit": 1}).json["items"]
    change: dict[str, Any] | None = trail[0] if trail else None
    if change is None:
        report.check("the trail has the change", False, "no audit row")
        return None
    moved = [change[side]["config"].get("base_dir") for side in ("before", "after")]
    as_made = change["action"] == SWITCHED and moved == [FIRST_ROOT, SECOND_ROOT] and change["rationale"] == RATIONALE
    report.check(
        "the trail says who, what and why", as_made, f"{change['action']} by {change['actor']}: {moved[0]} → {moved[1]}"
    )
    chain = stage.operator.need("GET", f"{API}/routing/audit/verify").json
    report.check("the trail's hash chain holds", chain["ok"] is True, f"{chain['rows']} rows")
    return change


def _check_streams(stage: Stage, change_id: str) -> None:
    for promise, client, stream in (
        ("the change arrives on stream routing of t_system", stage.operator, "routing"),
        ("and on stream tenant_timeline of the tenant", stage.demo, "tenant_timeline"),
    ):
        seen = _await_change(client, stream, change_id)
        stage.report.equal(promise, SWITCHED, seen)


def _await_change(client: Client, stream: str, change_id: str) -> str:
    """Return the type of the event with this id, or what came instead of it."""
    for frame in client.follow(stream_path(stream)):
        if frame.json.get("event_id") == change_id:
            return frame.event
    return f"no event {change_id}"
