"""Whether the process is up, and whether it can do its work."""

from typing import Any

from marshmallow import fields

from ..config import current_settings
from ..database import migrations
from ..database.engine import db, retried
from ..errors import UNAVAILABLE, ApiError
from ..web.blueprint import Blueprint, ResponseSchema, returns

health = Blueprint("health", "/health")


class HealthResponse(ResponseSchema):
    """All is well."""

    status = fields.String(metadata={"example": "ok"})


@health.get("/live")
@returns(HealthResponse())
def live() -> Any:
    """The process is up.

    Restart it if this does not answer. It does not check the database.
    """
    return {"status": "ok"}


@health.get("/ready")
@returns(HealthResponse())
def ready() -> Any:
    """The database answers and its schema is current.

    Send requests to this process only while this is 200.
    """
    missing = retried(lambda: migrations.pending(db.engine, current_settings), is_repeatable=True)
    if missing:
        raise ApiError(UNAVAILABLE, f"The database schema is {migrations.advice(missing)}.")
    return {"status": "ok"}
