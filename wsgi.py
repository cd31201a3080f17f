"""What gunicorn serves: ``gunicorn wsgi:app``."""

import sys

from tasks_api import create_service
from tasks_api.config import ConfigError

try:
    app = create_service()
except ConfigError as error:
    print(f"tasks-api: {error}", file=sys.stderr)
    raise SystemExit(4) from None  # which tells gunicorn that trying again is of no use
