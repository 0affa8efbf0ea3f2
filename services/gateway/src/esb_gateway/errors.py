"""What can go wrong with a call, and the one table that says how each is answered.

Two columns, because the two doors speak differently: the Lambda API answers AWS's JSON error form (boto3
makes typed exceptions of it), API routes answer what API Gateway answers.
"""

from __future__ import annotations

from attrs import frozen


class CallError(Exception):
    """A call that got no answer from its function; `retry_after` in seconds, where that may help.

    `challenge` is what WWW-Authenticate says to somebody who is not known.
    """

    retry_after: int | None = None
    challenge: str | None = None


class UnknownFunctionError(CallError):
    """No function of that name in the served generation."""


class UnknownSettingError(UnknownFunctionError):
    """The function is there, but has not what was asked for."""


class UnknownOperationError(CallError):
    """Something of the Lambda API that this gateway does not do."""


class UnknownRouteError(CallError):
    """No route for that method and path."""


class InvalidContentError(CallError):
    """The payload, or the client context, is not what it has to be."""


class InvalidParameterError(CallError):
    """A header or query parameter has a value that AWS does not know."""


class ReadOnlyError(CallError):
    """An operation that would change what is deployed."""


class ConstraintError(CallError):
    """A value breaks what AWS's API model says of its field."""


class InvalidNameError(ConstraintError):
    """The function name is no name, partial ARN or ARN."""


class PayloadTooLargeError(CallError):
    """More bytes than this kind of call may carry."""


class ThrottledError(CallError):
    """No worker became free in time, or too many calls wait already."""

    retry_after = 1


class ReservedLimitError(ThrottledError):
    """More calls at once than the function's own max_capacity lets run."""


class InfrastructureError(CallError):
    """The box's fault, not the function's: agent away, image missing, connection to the worker broken."""


class CircuitOpenError(InfrastructureError):
    """The box failed the function's last calls, so it does not try for a while (see workers/breaker.py)."""

    def __init__(self, text: str, *, retry_after: int = 1) -> None:
        super().__init__(text)
        self.retry_after = retry_after


class MalformedAnswerError(CallError):
    """The function answered, but not in the form a route needs."""


class FunctionFailedError(CallError):
    """The function raised, exited or could not be initialised, seen from a route."""


class FunctionTimedOutError(CallError):
    """The function took longer than it may, seen from a route."""


class UnauthorizedError(CallError):
    """Nobody known: no token, or none that is good."""

    def __init__(self, text: str, *, challenge: str) -> None:
        super().__init__(text)
        self.challenge = challenge


class ForbiddenError(CallError):
    """No API key of this box; or somebody known who may not do this."""

    def __init__(self, text: str, *, challenge: str | None = None) -> None:
        super().__init__(text)
        self.challenge = challenge


@frozen
class LambdaError:
    """A row of the Lambda API's column; `fault` is "User" or "Service", `text_key` where the text goes."""

    status: int
    code: str
    fault: str = "User"
    text_key: str = "message"
    reason: str | None = None


LAMBDA_ERRORS: dict[type[CallError], LambdaError] = {
    UnknownFunctionError: LambdaError(404, "ResourceNotFoundException", text_key="Message"),
    UnknownOperationError: LambdaError(404, "UnknownOperationException", text_key="Message"),
    InvalidContentError: LambdaError(400, "InvalidRequestContentException"),
    InvalidParameterError: LambdaError(400, "InvalidParameterValueException"),
    ConstraintError: LambdaError(400, "ValidationException"),
    ReadOnlyError: LambdaError(403, "AccessDeniedException", text_key="Message"),
    PayloadTooLargeError: LambdaError(413, "RequestTooLargeException"),
    ThrottledError: LambdaError(429, "TooManyRequestsException", reason="ConcurrentInvocationLimitExceeded"),
    ReservedLimitError: LambdaError(
        429, "TooManyRequestsException", reason="ReservedFunctionConcurrentInvocationLimitExceeded"
    ),
    CircuitOpenError: LambdaError(503, "ServiceException", fault="Service", text_key="Message"),
    InfrastructureError: LambdaError(500, "ServiceException", fault="Service", text_key="Message"),
}


@frozen
class RouteError:
    """A row of the routes' column; `http_*` is what HTTP APIs (payload 2.0) answer, the others REST (1.0)."""

    status: int
    message: str
    error_type: str
    http_status: int
    http_message: str


ROUTE_ERRORS: dict[type[CallError], RouteError] = {
    UnknownRouteError: RouteError(
        403, "Missing Authentication Token", "MissingAuthenticationTokenException", 404, "Not Found"
    ),
    UnauthorizedError: RouteError(401, "Unauthorized", "UnauthorizedException", 401, "Unauthorized"),
    ForbiddenError: RouteError(403, "Forbidden", "ForbiddenException", 403, "Forbidden"),
    PayloadTooLargeError: RouteError(
        413, "Request Too Long", "RequestTooLargeException", 413, "Request Entity Too Large"
    ),
    ThrottledError: RouteError(
        429, "Too Many Requests", "TooManyRequestsException", 429, "Too Many Requests"
    ),
    # A route to a function that is not deployed is a fault of the API's configuration, not of its caller.
    UnknownFunctionError: RouteError(
        500, "Internal server error", "InternalServerErrorException", 500, "Internal Server Error"
    ),
    InfrastructureError: RouteError(
        503, "Service Unavailable", "ServiceUnavailableException", 503, "Service Unavailable"
    ),
    MalformedAnswerError: RouteError(
        502, "Internal server error", "InternalServerErrorException", 502, "Internal Server Error"
    ),
    FunctionFailedError: RouteError(
        502, "Internal server error", "InternalServerErrorException", 502, "Internal Server Error"
    ),
    FunctionTimedOutError: RouteError(
        504, "Endpoint request timed out", "InternalServerErrorException", 504, "Endpoint request timed out"
    ),
}


def lambda_error(error: CallError) -> LambdaError:
    """Return the row for an error, or for the nearest of its bases that has one."""
    return next(
        (LAMBDA_ERRORS[kind] for kind in type(error).__mro__ if kind in LAMBDA_ERRORS),
        LAMBDA_ERRORS[InfrastructureError],
    )


def route_error(error: CallError) -> RouteError:
    """Return the row for an error, or for the nearest of its bases that has one."""
    return next(
        (ROUTE_ERRORS[kind] for kind in type(error).__mro__ if kind in ROUTE_ERRORS),
        ROUTE_ERRORS[InfrastructureError],
    )
