"""The production settings with placeholders for what only a deployment knows, so that they can be checked anywhere."""

import os
from base64 import b64encode
from secrets import token_bytes, token_urlsafe

os.environ.setdefault("NORTHSTAR_SECRET_KEY", token_urlsafe(64))
os.environ.setdefault("NORTHSTAR_ENCRYPTION_KEYS", "check:" + b64encode(token_bytes(32)).decode())
os.environ.setdefault("ALLOWED_HOSTS", "northstar.example")

from northstar.settings.production import *  # noqa: F403
