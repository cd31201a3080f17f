"""Tasks API: JWT access tokens and rotating refresh tokens over SQL Server, done right."""

import logging
import sys

import click
from flask import Flask
from sqlalchemy.exc import SQLAlchemyError

from . import cli
from .api import Api, Json
from .auth import cli as auth_cli
from .auth.access import init_access
from .auth.jwks import jwks
from .auth.routes import users
from .auth.service import init_authentication
from .config import Settings
from .database import db, init_database
from .docs import docs, init_docs
from .errors import init_errors
from .health import health
from .limits import init_limits
from .logs import init_logs
from .metrics import metrics
from .migrations import MigrationError, upgrade
from .page import page
from .tasks.routes import tasks
from .version import __version__
from .web import init_web

log = logging.getLogger(__name__)


def create_app(settings: Settings | None = None) -> Flask:
    """Make the application.

    Args:
        settings: what to use instead of the environment and ``instance/settings.cfg``.

    Raises:
        ConfigError: an unknown setting or an unusable value.
    """
    settings = settings or Settings.load()
    app = Flask(__name__, instance_path=str(settings.instance_path), static_folder=None)
    app.json = Json(app)
    app.extensions["settings"] = settings

    init_logs(settings.log_level, sys.stdout if _is_serving() else sys.stderr)
    init_database(app, settings)
    init_access(app, settings)
    init_authentication(app, settings)
    init_limits(app, settings)
    init_web(app, settings)
    init_errors(app)
    for commands in (cli.database, auth_cli.users, auth_cli.sessions):
        app.cli.add_command(commands)

    api = Api(app, spec_kwargs=init_docs(__version__))
    api.register_blueprint(users)
    api.register_blueprint(tasks)
    api.register_blueprint(health)
    if any(key.jwk for key in settings.token_keys):
        app.register_blueprint(jwks)
    if settings.metrics_enabled:
        app.register_blueprint(metrics)
    if settings.docs_enabled:
        app.register_blueprint(docs)
    if settings.page_enabled:
        app.register_blueprint(page)

    if _is_serving():
        if settings.generated_keys and not settings.is_sqlite:
            log.warning("generated keys in use: another machine has others, set %s", ", ".join(settings.generated_keys))
        if settings.upgrade_on_start:
            _upgrade(app, settings)
    return app


def _is_serving() -> bool:
    """Whether this is a server, and not a command such as ``flask db check``."""
    context = click.get_current_context(silent=True)
    return context is None or context.info_name == "run"


def _upgrade(app: Flask, settings: Settings) -> None:
    with app.app_context():
        try:
            upgrade(db.engine, settings)
        except (SQLAlchemyError, MigrationError, OSError) as error:
            # Not a reason to stay down: /health/ready says 503 until the database is well.
            log.error("the database could not be brought up to date: %s", getattr(error, "orig", None) or error)
