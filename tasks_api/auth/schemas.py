"""The bodies of /api/users: what they may carry, and what comes back."""

import marshmallow as ma
from marshmallow import fields

from ..errors import L01, R01, S01
from ..web.fields import Boolean, Text, Timestamp, this_minute
from ..web.schemas import RequestSchema, ResponseSchema
from .emails import malformation
from .passwords import MAX_LENGTH

EMAIL_LENGTH = 50  # the column's
NAME_LENGTH = 255

EMAIL_EXAMPLE = {"example": "anna@example.com"}
PASSWORD_EXAMPLE = {"example": "correct horse battery", "format": "password"}
FIRST_NAME_EXAMPLE = {"example": "Anna"}
LAST_NAME_EXAMPLE = {"example": "Andersson"}


def _new_email(email: str) -> None:
    if reason := malformation(email):
        raise ma.ValidationError(reason)


class Password(Text):
    """A password: blanks count, and nothing is cut off."""

    def __init__(self, *, required: bool = True) -> None:
        super().__init__(MAX_LENGTH, blank=True, required=required, metadata=PASSWORD_EXAMPLE)


class SignupRequest(RequestSchema):
    """A new user."""

    problem = S01

    email = Text(
        EMAIL_LENGTH,
        strip=True,
        required=True,
        validate=_new_email,
        metadata=EMAIL_EXAMPLE | {"format": "email"},
    )
    password = Password()
    confirm_password = Password()
    first_name = Text(NAME_LENGTH, required=True, metadata=FIRST_NAME_EXAMPLE)
    last_name = Text(NAME_LENGTH, required=True, metadata=LAST_NAME_EXAMPLE)
    ts = Timestamp(
        load_default=this_minute,
        metadata={"description": "becomes the creation date; now if not given"},
    )


class LoginRequest(RequestSchema):
    """Whoever was let in by the original is let in here: only lengths are checked."""

    problem = L01

    email = Text(EMAIL_LENGTH, strip=True, required=True, metadata=EMAIL_EXAMPLE)
    password = Password()
    cookie = Boolean(
        load_default=False,
        metadata={
            "description": "the refresh token comes as a cookie, out of the reach of scripts"
        },
    )


class RefreshRequest(RequestSchema):
    """A refresh token, if not in the cookie, and whose it should be: null and 0 are nobody in particular."""

    problem = R01
    body_optional = True

    user_id = fields.Integer(
        strict=True, load_default=0, metadata={"description": "0 or null: not given"}
    )
    refresh_token = fields.String(
        load_default="", metadata={"description": "if not given, the cookie's"}
    )


class LogoutRequest(RequestSchema):
    """A logout may name the session by its refresh token instead of an access token."""

    problem = R01
    body_optional = True

    refresh_token = fields.String(load_default="")


class PasswordRequest(RequestSchema):
    """A password change."""

    problem = S01

    current_password = Password()
    new_password = Password()
    confirm_password = Password()


class InfoChanges(RequestSchema):
    """What to change about me; the rest stays. A new email needs the current password."""

    problem = S01
    null_is_absent = False

    first_name = Text(NAME_LENGTH, strip=True, metadata=FIRST_NAME_EXAMPLE)
    last_name = Text(NAME_LENGTH, strip=True, metadata=LAST_NAME_EXAMPLE)
    email = Text(EMAIL_LENGTH, strip=True, metadata=EMAIL_EXAMPLE)  # the original's have any form
    current_password = Password(required=False)


class DeletionRequest(RequestSchema):
    """Whoever deletes an account knows its password."""

    problem = S01

    current_password = Password()


class UserResponse(ResponseSchema):
    """The new user."""

    id = fields.Integer(data_key="userId", metadata={"example": 1})
    email = fields.String(metadata=EMAIL_EXAMPLE)
    first_name = fields.String(metadata=FIRST_NAME_EXAMPLE)
    last_name = fields.String(metadata=LAST_NAME_EXAMPLE)
    ts = Timestamp(data_key="creationDate")


class InfoResponse(UserResponse):
    """Who am I."""

    class Meta:
        exclude = ("id",)


class TokenResponse(ResponseSchema):
    """Both tokens of a session."""

    access_token = fields.String(metadata={"description": "a JWT; send it as Bearer"})
    refresh_token = fields.String(
        allow_none=True,
        metadata={"description": "store it before you use it; null: it is in the cookie"},
    )
    user_id = fields.Integer(metadata={"example": 1})
    first_name = fields.String(metadata=FIRST_NAME_EXAMPLE)
    token_type = fields.String(metadata={"example": "Bearer"})
    expires_in = fields.Integer(metadata={"description": "seconds", "example": 900})


class SessionResponse(ResponseSchema):
    """A device that is signed in."""

    session_id = fields.UUID()
    current = fields.Boolean(metadata={"description": "whether this request came from it"})
    started_at = Timestamp()
    last_used_at = Timestamp()
    expiry_date = Timestamp(data_key="expiresAt")
    user_agent = fields.String(allow_none=True)
    ip_address = fields.String(allow_none=True)
