"""Tasks API: JWT access tokens and rotating refresh tokens over SQL Server, done right."""

import logging
import sys
from typing import TextIO

from flask import Flask
from sqlalchemy.exc import SQLAlchemyError

from .attempts import init_attempts
from .auth.access_tokens import init_access_tokens
from .auth.commands import session_commands, user_commands
from .auth.routes import account, jwks
from .auth.routes import auth as auth_blueprint
from .config import Settings
from .database import migrations
from .database.commands import database_commands
from .database.engine import db, init_database
from .monitoring.access_log import init_access_log
from .monitoring.health import health
from .monitoring.logs import init_logs
from .monitoring.metrics import metrics
from .tasks.routes import tasks as tasks_blueprint
from .web import swagger
from .web.blueprint import Api, Json
from .web.error_handlers import init_error_handlers
from .web.middleware import init_middleware
from .web.page import page

__version__ = "1.0.0"

log = logging.getLogger(__name__)


def create_app(settings: Settings | None = None, log_to: TextIO | None = None) -> Flask:
    """Make the application, for commands such as ``flask db check``.

    Args:
        settings: what to use instead of the environment and ``instance/settings.cfg``.
        log_to: where log lines go, if not to standard error.

    Raises:
        ConfigError: an unknown setting or an unusable value.
    """
    settings = settings or Settings.load()
    app = Flask(__name__, instance_path=str(settings.instance_path), static_folder=None)
    app.extensions["settings"] = settings

    init_logs(settings.log_level, log_to or sys.stderr)
    init_database(app, settings)
    init_access_tokens(app, settings)
    init_attempts(app, settings)
    init_access_log(app)
    init_middleware(app, settings)
    for commands in (database_commands, user_commands, session_commands):
        app.cli.add_command(commands)

    app.json = Json(app)
    api = Api(app, spec_kwargs=swagger.about(__version__))
    init_error_handlers(app)  # in place of flask-smorest's
    for blueprint in (auth_blueprint, account, tasks_blueprint, health):
        api.register_blueprint(blueprint)
    if settings.public_keys:
        app.register_blueprint(jwks)
    if settings.metrics_enabled:
        app.register_blueprint(metrics)
    if settings.docs_enabled:
        app.register_blueprint(swagger.swagger)
    if settings.page_enabled:
        app.register_blueprint(page)
    return app


def create_service(settings: Settings | None = None) -> Flask:
    """Make the application as it is served: it logs to standard output and brings its database up to date."""
    app = create_app(settings, sys.stdout)
    settings = app.extensions["settings"]
    if settings.generated_keys and settings.sqlserver:
        names = ", ".join(settings.generated_keys)
        log.warning("generated keys in use: another machine has others, set %s", names)
    if settings.upgrade_on_start:
        with app.app_context():
            try:
                migrations.upgrade(db.engine, settings)
            except (SQLAlchemyError, migrations.MigrationError, OSError) as error:
                # Not a reason to stay down: /health/ready says 503 until the database is well.
                reason = getattr(error, "orig", None) or error
                log.error("the database could not be brought up to date: %s", reason)
    return app
