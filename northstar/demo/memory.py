"""Part seven: a conversation is remembered, a plan is shared, and everything of the user goes again."""

from typing import Any, Final

from northstar.demo.stage import API, Stage

USER: Final = "demo-reader"
ELSEWHERE: Final = "demo-other"


def remember(stage: Stage) -> None:
    """Append messages, read windows, keep a user's plan from another, then export and erase everything of the user."""
    report = stage.report
    report.part("7. A conversation remembered")
    session = f"{API}/storage/sessions/demo-{stage.run}"
    questions = [f"Question {number}" for number in range(1, 31)]
    for start in range(0, len(questions), 10):
        messages = [{"role": "user", "content": text} for text in questions[start : start + 10]]
        stage.demo.need("POST", f"{session}/messages", data={"messages": messages}, headers=_as(USER))
    read = _windows(stage, session)
    report.check("windows read backwards make the whole session", read == questions, f"{len(read)} messages in 3 reads")
    other = stage.demo.call("GET", session, headers=_as(ELSEWHERE))
    report.equal("another user finds no such session", "404 NOT_FOUND", other.summary())
    _check_plan(stage)
    _check_erasure(stage, session)


def _as(user: str) -> dict[str, str]:
    return {"X-User-Id": user}


def _windows(stage: Stage, session: str) -> list[Any]:
    read: list[Any] = []
    before: int | None = None
    while True:
        window = f"limit=10&before={before}" if before else "limit=10"
        page = stage.demo.need("GET", f"{session}?{window}", headers=_as(USER)).json
        read = [message["content"] for message in page["messages"]] + read
        before = page["next_before"]
        if before is None:
            return read


def _check_plan(stage: Stage) -> None:
    plan = f"{API}/storage/blackboards/demo-plan"
    first = stage.demo.need("PUT", plan, data={"data": {"step": 1}}, headers=_as(USER)).json["version"]
    stage.demo.need("PUT", plan, data={"data": {"step": 2}}, headers={**_as(USER), "If-Match": f'"{first}"'})
    late = stage.demo.call("PUT", plan, data={"data": {"step": 9}}, headers={**_as(USER), "If-Match": f'"{first}"'})
    stage.report.equal("a plan is not overwritten by who read it earlier", "412 VERSION_CONFLICT", late.summary())


def _check_erasure(stage: Stage, session: str) -> None:
    manifest = stage.demo.need("DELETE", f"{API}/storage/users/{USER}/memory").json
    left = stage.demo.call("GET", session, headers=_as(USER)).summary()
    told = manifest["totals"]
    gone = manifest["complete"] and left == "404 NOT_FOUND" and told["messages"] >= 30 and told["blackboards"] == 1
    seen = f"{told['sessions']} sessions, {told['messages']} messages, {told['blackboards']} blackboards"
    stage.report.check("everything of a user goes, and the manifest says what", gone, seen)
