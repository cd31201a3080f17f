"""The bodies of /api/users: requests and answers."""

from typing import Any

import marshmallow as ma
from marshmallow import fields

from ..clock import now_as_smalldatetime
from ..errors import L01, R01, S01
from ..web.blueprint import ResponseSchema
from ..web.fields import Boolean, Integer, Text, Timestamp
from ..web.parsing import RequestSchema
from .emails import malformation
from .passwords import MAX_LENGTH

EMAIL_LENGTH = 50  # the column's
NAME_LENGTH = 255

EMAIL_EXAMPLE = {"example": "anna@example.com"}
PASSWORD_EXAMPLE = {"example": "correct horse battery", "format": "password"}
FIRST_NAME_EXAMPLE = {"example": "Anna"}
LAST_NAME_EXAMPLE = {"example": "Andersson"}


def _check_email(email: str) -> None:
    if reason := malformation(email):
        raise ma.ValidationError(reason)


class Password(Text):
    """A password. It is neither stripped nor cut."""

    def __init__(self, *, required: bool = True) -> None:
        super().__init__(MAX_LENGTH, blank=True, required=required, metadata=PASSWORD_EXAMPLE)


class OptionalToken(fields.String):
    """A refresh token. Without one the value is an empty text."""

    default_error_messages = {"invalid": "must be text", "null": "must not be null"}  # noqa: RUF012

    def __init__(self) -> None:
        super().__init__(load_default=str, metadata={"description": "if not given, the cookie's"})

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> str:
        return str(super()._deserialize(value, *args, **kwargs)).strip()


class SignupRequest(RequestSchema):
    """A new user."""

    problem = S01

    email = Text(
        EMAIL_LENGTH,
        strip=True,
        required=True,
        validate=_check_email,
        metadata=EMAIL_EXAMPLE | {"format": "email"},
    )
    password = Password()
    confirm_password = Password()
    first_name = Text(NAME_LENGTH, required=True, metadata=FIRST_NAME_EXAMPLE)
    last_name = Text(NAME_LENGTH, required=True, metadata=LAST_NAME_EXAMPLE)
    ts = Timestamp(
        load_default=now_as_smalldatetime,
        metadata={"description": "becomes the creation date; now if not given"},
    )


class LoginRequest(RequestSchema):
    """An email and a password. Only lengths are checked, so all users of the .NET original can log in."""

    problem = L01

    email = Text(EMAIL_LENGTH, strip=True, required=True, metadata=EMAIL_EXAMPLE)
    password = Password()
    cookie = Boolean(
        load_default=bool,
        metadata={"description": "send the refresh token as a cookie that scripts cannot read"},
    )


class RefreshRequest(RequestSchema):
    """The refresh token, unless it is in the cookie, and the user to whom it should belong."""

    problem = R01
    body_optional = True

    user_id = Integer(
        load_default=int,
        allow_none=True,
        metadata={"description": "0 or null: not given"},
    )
    refresh_token = OptionalToken()


class LogoutRequest(RequestSchema):
    """The refresh token of the session that ends, unless an access token or the cookie names it."""

    problem = R01
    body_optional = True

    refresh_token = OptionalToken()


class PasswordRequest(RequestSchema):
    """A password change."""

    problem = S01

    current_password = Password()
    new_password = Password()
    confirm_password = Password()


class InfoChanges(RequestSchema):
    """The details that change. A new email needs the current password."""

    problem = S01
    null_is_absent = False

    first_name = Text(NAME_LENGTH, strip=True, metadata=FIRST_NAME_EXAMPLE)
    last_name = Text(NAME_LENGTH, strip=True, metadata=LAST_NAME_EXAMPLE)
    # users.py checks only a new one.
    email = Text(EMAIL_LENGTH, strip=True, metadata=EMAIL_EXAMPLE)
    current_password = Password(required=False)


class DeletionRequest(RequestSchema):
    """The deletion of an account needs its password."""

    problem = S01

    current_password = Password()


class UserResponse(ResponseSchema):
    """A new user."""

    id = fields.Integer(data_key="userId", metadata={"example": 1})
    email = fields.String(metadata=EMAIL_EXAMPLE)
    first_name = fields.String(metadata=FIRST_NAME_EXAMPLE)
    last_name = fields.String(metadata=LAST_NAME_EXAMPLE)
    ts = fields.DateTime(data_key="creationDate", metadata={"description": "to the minute"})


class InfoResponse(UserResponse):
    """The caller's details."""

    class Meta(ResponseSchema.Meta):
        exclude = ("id",)


class TokenResponse(ResponseSchema):
    """Both tokens of a session."""

    access_token = fields.String(metadata={"description": "a JWT; send it as Bearer"})
    refresh_token = fields.String(
        allow_none=True,
        metadata={"description": "save it before you use it; null if it is in the cookie"},
    )
    user_id = fields.Integer(metadata={"example": 1})
    first_name = fields.String(metadata=FIRST_NAME_EXAMPLE)
    token_type = fields.String(metadata={"example": "Bearer"})
    expires_in = fields.Integer(metadata={"description": "seconds", "example": 900})


class SessionResponse(ResponseSchema):
    """A device that is signed in."""

    session_id = fields.UUID()
    current = fields.Boolean(metadata={"description": "whether this request came from it"})
    started_at = fields.DateTime()
    last_used_at = fields.DateTime()
    expiry_date = fields.DateTime(data_key="expiresAt", metadata={"description": "to the minute"})
    user_agent = fields.String(allow_none=True)
    ip_address = fields.String(allow_none=True)
