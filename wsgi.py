"""What gunicorn and the flask command load: ``wsgi:app``."""

import sys

from tasks_api import create_app
from tasks_api.config import ConfigError

try:
    app = create_app()
except ConfigError as error:
    print(f"tasks-api: {error}", file=sys.stderr)
    raise SystemExit(4) from None  # which tells gunicorn that trying again is of no use
