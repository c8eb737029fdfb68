"""Part four: a media output, stored for a session before the flip, and read where it lies after it."""

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from northstar.demo.stage import API, Stage, sha256

MEDIA = f"{API}/media"


@dataclass(frozen=True, slots=True)
class Output:
    """A media output of the demo's session, and the bytes that it should have."""

    media: dict[str, Any]
    content: bytes

    @property
    def path(self) -> str:
        return f"{MEDIA}/{self.media['media_id']}"


def store_output(stage: Stage, key: str) -> Output:
    """Store one of the files as a media output of a session, and find it by that session alone."""
    report = stage.report
    report.part("4. A session's output")
    report.say(f"  POST {MEDIA}?session_id={session_of(stage)}")
    content = (stage.project / key).read_bytes()
    query = urlencode({"session_id": session_of(stage)})
    media = stage.demo.need("POST", f"{MEDIA}?{query}", body=content).json
    report.equal("a media output is told with its checksum", sha256(content), media["checksum_sha256"])
    found = [one["media_id"] for one in stage.demo.items(MEDIA, session_id=session_of(stage))]
    report.check("its session lists it, and nothing else", found == [media["media_id"]], f"{len(found)} listed")
    return Output(media, content)


def read_output(stage: Stage, output: Output) -> None:
    """Read a media output after the flip: its reference leads to where it was stored."""
    answer = stage.demo.need("GET", f"{output.path}/content")
    same = sha256(answer.body) == output.media["checksum_sha256"]
    revision = answer.headers["x-northstar-route-revision"]
    stage.report.check("the media output is still read, where it lies", same, f"by revision {revision} of its route")


def delete_outputs(stage: Stage) -> None:
    """Delete what the session has."""
    for one in stage.demo.items(MEDIA, session_id=session_of(stage)):
        stage.demo.need("DELETE", f"{MEDIA}/{one['media_id']}")


def session_of(stage: Stage) -> str:
    """Return the session of this run."""
    return f"demo-{stage.run}"
