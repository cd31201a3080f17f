"""Whether the process is up, and whether it can do its work."""

from typing import Any

from marshmallow import fields

from .api import Blueprint, ResponseSchema
from .config import settings
from .database import db, repeated
from .errors import RETRY_AFTER_OUTAGE, UNAVAILABLE, ApiError
from .migrations import pending

health = Blueprint("health", __name__, url_prefix="/health", description="For load balancers and orchestrators")


class HealthResponse(ResponseSchema):
    """All is well."""

    status = fields.String(metadata={"example": "ok"})


@health.get("/live")
@health.response(200, HealthResponse)
def live() -> Any:
    """The process is up."""
    return {"status": "ok"}


@health.get("/ready")
@health.response(200, HealthResponse)
@health.errors(UNAVAILABLE)
def ready() -> Any:
    """The database answers and its schema is current."""
    scripts = repeated(lambda: pending(db.engine, settings), may_have_happened=False)
    if scripts:
        names = ", ".join(script.name for script in scripts)
        detail = f"The database schema is not current ({names}): run 'flask --app wsgi db upgrade'."
        raise ApiError(UNAVAILABLE, detail, retry_after=RETRY_AFTER_OUTAGE)
    return {"status": "ok"}
