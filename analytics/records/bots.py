"""Which records were made by programs that say so: they are tagged and kept, and whoever counts people leaves them out."""

import re
from functools import lru_cache
from typing import Final

_NAMED: Final = re.compile(
    r"bot\b|bot[/;)_-]|crawl|spider|slurp|headless|phantomjs|lighthouse|pingdom|uptime|monitor|preview|facebookexternalhit"
    r"|curl/|wget/|python-requests|python-urllib|aiohttp|httpx|okhttp|go-http-client|java/|libwww|scrapy|puppeteer|playwright",
    re.IGNORECASE,
)


@lru_cache(maxsize=4096)
def bot_named(user_agent: str) -> str | None:
    """Return what in a user agent says that no person sits there, in lower case; None where nothing does."""
    found = _NAMED.search(user_agent)
    return found[0].strip("/;)_-").lower() if found else None
