"""Part five: the object route flips to another place, and the same call writes elsewhere."""

from pathlib import Path
from typing import Any

from northstar.demo.client import Answer, Client
from northstar.demo.places import Place
from northstar.demo.stage import API, Stage, checksums, sha256, stream_path

ROUTES = f"{API}/routing/routes"
RATIONALE = "The demo shows a flip."
SWITCHED = "ROUTE_BACKEND_SWITCHED"


def point_objects_at(stage: Stage, place: Place, why: str) -> Answer:
    """Create the demo's object route, or flip it to this place; the route that stands there already is left as it is."""
    body = {
        "resource_kind": "object_store",
        "backend_type": place.backend_type,
        "config": dict(place.config),
        "switch_rationale": why,
    }
    return stage.demo.need("POST", ROUTES, data=body)


def flip_objects(stage: Stage, key: str) -> None:
    """Repeat one PUT before and after the flip; then look into both places, the trail and both event streams."""
    report = stage.report
    report.part("5. A route flips")
    content = (stage.project / key).read_bytes()
    path = stage.object_path(key)
    earlier = stage.demo.need("PUT", path, body=content)
    kept = checksums(_root(stage, stage.first)) if stage.first.is_folder else {}
    places = f"from {stage.first.value} to {stage.second.value}"
    report.say(f"  POST {ROUTES}: object_store of t_demo/{stage.env} {places}")
    route = point_objects_at(stage, stage.second, RATIONALE).json
    missing = stage.demo.call("GET", path)
    report.equal("the flip is in force at once; data stays where it was written", "404 NOT_FOUND", missing.summary())
    later = stage.demo.need("PUT", path, body=content)
    _check_places(stage, earlier, later)
    if stage.first.is_folder:
        _check_folders(stage, key, content, kept)
    revisions = [int(answer.headers["x-northstar-route-revision"]) for answer in (earlier, later)]
    report.check("the answer names the new revision", revisions[1] > revisions[0], f"{revisions[0]} → {revisions[1]}")
    change = _check_audit(stage, route["id"])
    if change:
        _check_streams(stage, str(change["change_id"]))


def _root(stage: Stage, place: Place) -> Path:
    return stage.home / place.value


def _check_places(stage: Stage, earlier: Answer, later: Answer) -> None:
    uris = [str(answer.json["uri"]) for answer in (earlier, later)]
    told = all(place.value in uri for place, uri in zip((stage.first, stage.second), uris, strict=True))
    stage.report.check("the same PUT now answers another URI", told, uris[1])


def _check_folders(stage: Stage, key: str, content: bytes, first: dict[str, str]) -> None:
    report = stage.report
    now = checksums(_root(stage, stage.second))
    here = [path for path, digest in now.items() if _is_object(path, key, digest, content)]
    seen = str(Path(here[0]).relative_to(stage.home)) if here else "nothing there"
    report.check("the file is in the other folder", bool(here), seen)
    untouched = checksums(_root(stage, stage.first)) == first
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
    moved = [change[side]["config"].get(stage.first.field) for side in ("before", "after")]
    expected = (SWITCHED, [stage.first.value, stage.second.value], RATIONALE)
    as_made = (change["action"], moved, change["rationale"]) == expected
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
