"""The back office's pages about media."""

from media.admin import gallery  # noqa: F401 - registers the page
