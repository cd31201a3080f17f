"""What gunicorn and the flask command load: ``wsgi:app``."""

from tasks_api import create_app
from tasks_api.config import ConfigError

try:
    app = create_app()
except ConfigError as error:
    raise SystemExit(f"tasks-api: {error}") from None
