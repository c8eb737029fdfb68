"""Part three: the project's dependencies as records of a table."""

import re
from dataclasses import asdict
from typing import Any, Final
from urllib.parse import quote

from northstar.demo.sources import Dependency, dependencies
from northstar.demo.stage import API, Stage

RECORDS: Final = f"{API}/storage/tables/dependencies/records"


def keep_dependencies(stage: Stage) -> None:
    """Upsert the records, list a prefix, count up to a ceiling, lose a compare-and-set."""
    report = stage.report
    report.part("3. Dependencies as records")
    origin, packages = dependencies(stage.project)
    report.say(f"  {len(packages)} packages from {origin}")
    clear_table(stage)
    stored = {package.key: _upsert(stage, package) for package in report.each("  upsert", packages)}
    same = sum(_data(stage, package.key) == asdict(package) for package in packages)
    report.check("every record reads back as it was", same == len(packages), f"{same} of {len(packages)}")
    _check_prefix(stage, list(stored))
    _check_ceiling(stage, packages[0])
    _check_stale_version(stage, packages[-1], stored[packages[-1].key])


def clear_table(stage: Stage) -> None:
    """Delete every record, an earlier run's included."""
    for key in [item["key"] for item in stage.demo.items(RECORDS)]:
        stage.demo.need("DELETE", _path(key))


def _path(key: str) -> str:
    return f"{RECORDS}/{quote(key)}"


def _upsert(stage: Stage, package: Dependency, **headers: str) -> int:
    answer = stage.demo.need("PUT", _path(package.key), data={"data": asdict(package)}, headers=headers)
    version: int = answer.json["version"]
    return version


def _data(stage: Stage, key: str) -> Any:
    return stage.demo.need("GET", _path(key)).json["data"]


def _check_prefix(stage: Stage, keys: list[str]) -> None:
    prefix = _commonest_start(keys)
    listed = [item["key"] for item in stage.demo.items(RECORDS, prefix=prefix)]
    expected = sorted((key for key in keys if key.startswith(prefix)), key=str.encode)
    stage.report.check(f"listing {prefix!r} gives exactly its records, in order", listed == expected, ", ".join(listed))


def _commonest_start(keys: list[str]) -> str:
    """Return the first word that most keys share, so that the listing has something to leave out and something to find."""
    words = [re.split("[-/]", key)[0] for key in keys]
    return max(words, key=words.count)


def _check_ceiling(stage: Stage, package: Dependency) -> None:
    ceiling = len(package.name)
    path = _path(package.key) + "/increment"
    body = {"deltas": {"reads": 1}, "ceilings": {"reads": ceiling}}
    answers = [stage.demo.call("POST", path, data=body) for _ in range(ceiling + 2)]
    taken = sum(answer.status < 300 for answer in answers)
    refused = answers[-1]
    stage.report.equal("a counter stops at its ceiling", ceiling, taken)
    stage.report.equal("beyond it: the exact error", "429 QUOTA_EXCEEDED", refused.summary())
    stage.report.equal("and nothing was counted", ceiling, _data(stage, package.key)["reads"])


def _check_stale_version(stage: Stage, package: Dependency, version: int) -> None:
    newer = _upsert(stage, package, **{"If-Match": f'"{version}"'})
    stage.report.check("a write that names the version it read succeeds", newer > version, f"{version} → {newer}")
    path, body = _path(package.key), {"data": {"version": "another"}}
    stale = stage.demo.call("PUT", path, data=body, headers={"If-Match": f'"{version}"'})
    stage.report.equal("one that names an older version does not", "412 VERSION_CONFLICT", stale.summary())
    stage.report.check("and the record stands", _data(stage, package.key) == asdict(package), f"version {newer}")
