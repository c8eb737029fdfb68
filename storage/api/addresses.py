"""The part of an address that is a key: taken whole and literally, whatever characters it holds."""

from django.urls import register_converter


class Key:
    """Any text, slashes, line breaks and nothing at all among it: the store says which keys are valid, and why not."""

    regex = "(?s:.*)"

    def to_python(self, value: str) -> str:
        return value

    def to_url(self, value: str) -> str:
        return value


register_converter(Key, "key")
