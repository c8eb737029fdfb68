"""The API and the admin for a WSGI server; streams need `northstar.asgi` beside it."""

import os

from django.core.wsgi import get_wsgi_application

from northstar.memory import give_large_blocks_back

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "northstar.settings.production")

give_large_blocks_back()
application = get_wsgi_application()
