"""Tasks API: JWT access tokens and rotating refresh tokens on SQL Server or SQLite."""

import logging
from contextlib import suppress

from flask import Flask
from sqlalchemy.exc import SQLAlchemyError

from .auth.access_tokens import init_access_tokens
from .auth.commands import session_commands, user_commands
from .auth.cookie import documented_name
from .auth.jwks import jwks
from .auth.keys import init_keys
from .auth.limits import init_limits
from .auth.routes import account, public
from .config import Settings
from .database import migrations
from .database.commands import database_commands
from .database.engine import init_database
from .dotnet import ignore_case_of_paths
from .monitoring.access_log import init_access_log
from .monitoring.health import health
from .monitoring.logs import init_logs
from .monitoring.metrics import metrics
from .tasks.routes import tasks
from .web.error_answers import init_error_answers
from .web.middleware import init_middleware
from .web.openapi import init_openapi
from .web.page import page

__version__ = "1.0.0"

log = logging.getLogger(__name__)


def create_app(settings: Settings | None = None) -> Flask:
    """Make the application: for gunicorn, for ``flask run`` and for the operator's commands.

    Args:
        settings: what to use instead of the environment and ``.env``.

    Raises:
        ConfigError: an unknown setting or an unusable value.
    """
    settings = settings or Settings()
    app = Flask(__name__, instance_path=str(settings.instance_path), static_folder=None)
    app.extensions["settings"] = settings

    init_logs(settings.log_level)
    keys = init_keys(app, settings)
    if keys.generated and not settings.database_file:
        names = ", ".join(keys.generated)
        log.warning(
            "this machine generated its own keys; set %s to equal values on all machines", names
        )
    init_database(app, settings)
    init_access_tokens(app, settings, keys)
    init_access_log(app)
    init_middleware(app, settings)
    ignore_case_of_paths(app)
    init_limits(app, settings)
    init_error_answers(app)

    for blueprint in (public, account, tasks, health):
        app.register_blueprint(blueprint)
    if keys.public:
        app.register_blueprint(jwks)
    if settings.metrics_enabled:
        app.register_blueprint(metrics)
    if settings.docs_enabled:
        init_openapi(app, __version__, documented_name(settings))
    if settings.page_enabled:
        app.register_blueprint(page)
    for commands in (database_commands, user_commands, session_commands):
        app.cli.add_command(commands)

    if settings.upgrade_on_start:
        _upgrade(settings)
    return app


def _upgrade(settings: Settings) -> None:
    with suppress(OSError):  # then connecting fails too, with a better message
        settings.instance_path.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        migrations.upgrade(settings)
    except (SQLAlchemyError, migrations.MigrationError) as error:
        # Start anyway: /health/ready is 503 until the schema is current.
        reason = getattr(error, "orig", None) or error
        log.error("the database could not be brought up to date: %s", reason)
