"""Gives back what it was called with, and what it knows of the call."""

import json
import os

import boto3  # noqa: F401  # with it loaded the trace goes on to what this function calls


def handler(event, context):
    said = {
        "event": event,
        "function": context.function_name,
        "request_id": context.aws_request_id,
        "trace": os.environ.get("_X_AMZN_TRACE_ID", ""),
    }
    if "httpMethod" not in event and "requestContext" not in event:
        return said
    return {
        "statusCode": 200,
        "headers": {"Content-Type": "application/json", "X-E2e": "echo"},
        "body": json.dumps(said),
    }
