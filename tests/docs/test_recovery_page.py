"""The page on recovery shows commands that exist, with options that they take."""

import re
import shlex

import pytest
from django.core.management import load_command_class

from tests.docs.test_documents import ROOT

PAGE = (ROOT / "docs/recovery.md").read_text(encoding="utf-8")
APPS = {"routes": "routing", "doctor": "northstar", "quickstart": "northstar", "migrate": "django.core"}
SHOWN = [line for line in re.findall(r"^    python manage\.py ([^#\n]+)", PAGE, re.MULTILINE) if "…" not in line]


def test_the_page_shows_the_way_back():
    assert [line.split()[0] for line in SHOWN if "pull" in line or "migrate" in line] == ["migrate", "routes", "routes"]


@pytest.mark.parametrize("line", SHOWN)
def test_a_command_takes_what_the_page_gives_it(line):
    name, *arguments = shlex.split(line)
    load_command_class(APPS[name], name).create_parser("manage.py", name).parse_args(arguments)
