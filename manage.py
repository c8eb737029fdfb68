#!/usr/bin/env python
"""Django's commands, and Northstar's: `python manage.py help`."""

import os
import sys

from django.core.exceptions import ImproperlyConfigured
from django.core.management import execute_from_command_line


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "northstar.settings.lab")
    try:
        execute_from_command_line(sys.argv)
    except ImproperlyConfigured as error:  # the operator's to mend: what is wrong, without a trace through our files
        sys.exit(f"Wrong settings: {error}")


if __name__ == "__main__":
    main()
