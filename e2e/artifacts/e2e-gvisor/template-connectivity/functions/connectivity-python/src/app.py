"""The smoke contract: echo, a row, an object, a call of another function."""

import json
import os

import boto3


def handler(event, context):
    asked = json.loads(event["body"])
    action = ACTIONS.get(asked.get("action"))
    if action is None:
        return answer(400, {"error": f"action: one of {sorted(ACTIONS)}, not {asked.get('action')!r}"})
    return answer(200, {"action": asked["action"], "runtime": "python", **action(asked)})


def echo(asked):
    return {"message": asked["message"]}


def dynamodb_put(asked):
    table = boto3.resource("dynamodb").Table(os.environ["TABLE"])
    table.put_item(Item={"id": asked["id"], "value": asked["value"]})
    return {"item": table.get_item(Key={"id": asked["id"]}, ConsistentRead=True)["Item"]}


def s3_put(asked):
    s3 = boto3.client("s3")
    s3.put_object(Bucket=os.environ["BUCKET"], Key=asked["key"], Body=asked["body"].encode())
    found = s3.get_object(Bucket=os.environ["BUCKET"], Key=asked["key"])
    return {"body": found["Body"].read().decode(), "etag": found["ETag"]}


def chain_invoke(asked):
    reply = boto3.client("lambda").invoke(
        FunctionName=os.environ["TARGET"], Payload=json.dumps({"message": asked["message"]})
    )
    return {"target": json.load(reply["Payload"]), "status": reply["StatusCode"]}


ACTIONS = {action.__name__: action for action in (echo, dynamodb_put, s3_put, chain_invoke)}


def answer(status, body):
    return {"statusCode": status, "headers": {"Content-Type": "application/json"}, "body": json.dumps(body)}
