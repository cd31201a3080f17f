"""Whether the process is up, and whether it can do its work."""

from typing import Any

from marshmallow import fields

from ..config import current_settings
from ..database import migrations
from ..database.engine import db, repeated
from ..errors import UNAVAILABLE, ApiError
from ..web.blueprint import Blueprint
from ..web.schemas import ResponseSchema

health = Blueprint("health", "/health", "For load balancers and orchestrators")


class HealthResponse(ResponseSchema):
    """All is well."""

    status = fields.String(metadata={"example": "ok"})


@health.get("/live")
@health.response(200, HealthResponse)
@health.doc(operationId="live")
def live() -> Any:
    """The process is up.

    It asks nobody else, the database neither.
    """
    return {"status": "ok"}


@health.get("/ready")
@health.errors()
@health.response(200, HealthResponse)
def ready() -> Any:
    """The database answers and its schema is current.

    Whether this process should get requests.
    """
    waiting = repeated(
        lambda: migrations.pending(db.engine, current_settings), may_have_happened=False
    )
    if waiting:
        raise ApiError(UNAVAILABLE, f"The database schema is {migrations.advice(waiting)}.")
    return {"status": "ok"}
