"""What gunicorn serves: ``gunicorn wsgi:app``."""

import sys

from tasks_api import create_app
from tasks_api.config import ConfigError

try:
    app = create_app()
except ConfigError as error:
    print(f"tasks-api: {error.message}", file=sys.stderr)
    raise SystemExit(4) from None  # gunicorn's APP_LOAD_ERROR: the master stops
