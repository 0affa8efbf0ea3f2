"""The functions of the fault run: one that answers, one behind a route, one that keeps what it is given."""

from __future__ import annotations

TEMPLATE = """
AWSTemplateFormatVersion: "2010-09-09"
Transform: AWS::Serverless-2016-10-31
Parameters:
  RecordFile:
    Type: String
    Default: {record}
Globals:
  Function:
    Runtime: python3.11
    Handler: app.handler
    Timeout: 20
    MemorySize: 256
Resources:
  Echo:
    Type: AWS::Serverless::Function
    Properties:
      CodeUri: echo/
      Environment:
        Variables:
          STEP: step-0
  Web:
    Type: AWS::Serverless::Function
    Properties:
      CodeUri: web/
      Events:
        Get:
          Type: Api
          Properties:
            Path: /web/{{number}}
            Method: get
  Record:
    Type: AWS::Serverless::Function
    Properties:
      CodeUri: record/
      Environment:
        Variables:
          RECORD_FILE: !Ref RecordFile
"""

ECHO = """
def handler(event, context):
    return {"number": event["number"], "twice": 2 * event["number"]}
"""

WEB = """
import json

def handler(event, context):
    return {"statusCode": 200, "body": json.dumps({"number": event["pathParameters"]["number"]})}
"""

RECORD = """
import os

def handler(event, context):
    file = os.open(os.environ["RECORD_FILE"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        os.write(file, f"{event['number']}\\n".encode())
        os.fsync(file)
    finally:
        os.close(file)
"""

SOURCES = {"echo/app.py": ECHO, "web/app.py": WEB, "record/app.py": RECORD}
STEP = "step-0"  # what a new generation replaces
UNSET = "${FAULT_RUN_UNSET}"  # a variable the gateway does not have: a generation it has to refuse
