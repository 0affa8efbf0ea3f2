"""Refusals, with the status and code AWS answers them with."""

from __future__ import annotations

from typing import ClassVar

from esb_gateway.errors import CallError


class AuthError(CallError):
    """Who calls is not known, or may not do this."""

    status: ClassVar[int] = 403
    code: ClassVar[str] = "AccessDeniedException"


class MissingAuthenticationTokenError(AuthError):
    """No signature at all."""

    code = "MissingAuthenticationTokenException"


class IncompleteSignatureError(AuthError):
    """A signature with parts missing, or in a form nobody defines."""

    code = "IncompleteSignatureException"


class UnrecognizedClientError(AuthError):
    """An access key or a session token this box does not have."""

    code = "UnrecognizedClientException"


class InvalidSignatureError(AuthError):
    """A whole signature that is not this request's, or not of this time, region or service."""

    code = "InvalidSignatureException"
