"""Part one: the repository's own files as objects."""

from pathlib import Path

from northstar.demo.sources import repository_files
from northstar.demo.stage import API, Stage, sha256


def keep_files(stage: Stage) -> list[str]:
    """Put every file, read each back, compare checksums, list them, read a range. Return the keys."""
    report = stage.report
    report.part("1. Files as objects")
    origin, files = repository_files(stage.project)
    report.say(f"  {len(files)} files of this repository, from {origin}")
    sums = {path.as_posix(): _put(stage, path) for path in report.each("  put", files)}
    _compare(stage, sums)
    listed = [item["key"] for item in stage.demo.items(f"{API}/storage/objects", prefix=stage.prefix)]
    expected = sorted((stage.prefix + key for key in sums), key=str.encode)
    report.check("the listing has exactly these keys, in byte order", listed == expected, f"{len(listed)} keys")
    _read_range(stage, max(sums, key=lambda key: (stage.project / key).stat().st_size))
    return list(sums)


def _put(stage: Stage, path: Path) -> tuple[str, str]:
    """Return the checksum of what was sent and the one that the server computed."""
    content = (stage.project / path).read_bytes()
    answer = stage.demo.need("PUT", stage.object_path(path.as_posix()), body=content)
    return sha256(content), answer.json["sha256"]


def _compare(stage: Stage, sums: dict[str, tuple[str, str]]) -> None:
    agreed = sum(sent == stored for sent, stored in sums.values())
    stage.report.check("the server's SHA-256 is ours", agreed == len(sums), f"{agreed} of {len(sums)}")
    size, same = 0, 0
    for key, (sent, _) in stage.report.each("  get", list(sums.items())):
        content = stage.demo.need("GET", stage.object_path(key)).body
        size += len(content)
        same += sha256(content) == sent
    stage.report.check("every object reads back whole", same == len(sums), f"{same} of {len(sums)}, {size:,} bytes")


def _read_range(stage: Stage, key: str) -> None:
    path = stage.object_path(key)
    whole = stage.demo.need("GET", path).body
    first, last = len(whole) // 3, len(whole) * 2 // 3
    answer = stage.demo.need("GET", path, headers={"Range": f"bytes={first}-{last}"})
    exact = answer.status == 206 and answer.body == whole[first : last + 1]
    spans = answer.headers.get("content-range", "no range")
    stage.report.check(f"a range of {key} is that range", exact, f"{answer.status}, {spans}")
