"""The API and the admin for a WSGI server; streams need `northstar.asgi` beside it."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "northstar.settings.production")

application = get_wsgi_application()
