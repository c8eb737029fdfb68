"""The page of attribution lists every code, mode, model and transform that there is, and no other."""

import re
from typing import get_args

from analytics.attribution.credits import ModelName
from analytics.attribution.paths import Transform
from analytics.contracts.findings import CODES
from analytics.contracts.model import Mode, Rules
from analytics.contracts.seeds import ACTIVE, DRAFTS
from tests.docs.test_documents import ROOT

PAGE = (ROOT / "docs/attribution.md").read_text(encoding="utf-8")


def test_every_code_stands_with_its_severity():
    listed = dict(re.findall(r"^\| `([a-z_0-9]+)` \| (error|warn|info) \|", PAGE, re.MULTILINE))
    assert listed == {code: explained.severity.value for code, explained in CODES.items()}


def test_everything_that_can_be_named_is_named():
    for name in (*get_args(Mode), *get_args(ModelName), *get_args(Transform), *ACTIVE, *DRAFTS, *Rules.model_fields):
        assert f"`{name}`" in PAGE, name
