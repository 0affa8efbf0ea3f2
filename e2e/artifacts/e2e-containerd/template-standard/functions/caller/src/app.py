"""Calls another function, as SDK clients in functions do."""

import json
import os

import boto3


def handler(event, context):
    reply = boto3.client("lambda").invoke(
        FunctionName=event["function"],
        InvocationType=event.get("type", "RequestResponse"),
        Payload=json.dumps(event["payload"]),
    )
    text = reply["Payload"].read()
    return {
        "status": reply["StatusCode"],
        "error": reply.get("FunctionError", ""),
        "payload": json.loads(text) if text else None,
        "trace": os.environ.get("_X_AMZN_TRACE_ID", ""),
    }
