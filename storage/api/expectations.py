"""What a write of a document expects to find, as its headers say it."""

from rest_framework.request import Request

from northstar.api import create_only, expected_version
from storage.documents import ABSENT, ANY, Expect


def document_expectation(request: Request) -> Expect:
    """Return what If-Match and If-None-Match ask for. Raises InvalidRequest for what they cannot mean."""
    if create_only(request):
        return ABSENT
    version = expected_version(request)
    return ANY if version is None else version
