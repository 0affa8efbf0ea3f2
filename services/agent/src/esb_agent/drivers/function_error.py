"""The error of a function, as AWS Lambda's clients read it."""

import json


def error_json(kind: str, message: str) -> bytes:
    """The body of a function error."""
    return json.dumps({"errorType": kind, "errorMessage": message}).encode()
