"""Writes a row for each call."""

import os
import time

import boto3


def handler(event, context):
    row = {
        "id": f"{event['kind']}/{context.aws_request_id}",
        "kind": event["kind"],
        "at": int(time.time()),
        "trace": os.environ.get("_X_AMZN_TRACE_ID", ""),
    }
    boto3.resource("dynamodb").Table(os.environ["RECORDS"]).put_item(Item=row)
    return row
