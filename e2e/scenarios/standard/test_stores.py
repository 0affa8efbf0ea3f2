"""DynamoDB and S3, from functions and from outside."""

from __future__ import annotations

import base64
import uuid
from typing import Any


def test_a_function_works_with_its_table(invoke: Any) -> None:
    kind = uuid.uuid4().hex
    said = invoke("store", do="rows", kind=kind, count=4)
    assert said == {
        "numbers": {f"{kind}-000": 100, f"{kind}-001": 1, f"{kind}-002": 2, f"{kind}-003": 3},
        "refused": "ConditionalCheckFailedException",
        "left": 0,
    }


def test_tables_have_the_keys_and_indexes_of_the_template(dynamodb: Any) -> None:
    table = dynamodb.describe_table(TableName="records")["Table"]
    assert table["KeySchema"] == [{"AttributeName": "id", "KeyType": "HASH"}]
    assert [index["IndexName"] for index in table["GlobalSecondaryIndexes"]] == ["by-kind"]


def test_a_function_works_with_its_bucket(invoke: Any, s3: Any) -> None:
    data = base64.b64encode(bytes(range(256))).decode()
    prefix = uuid.uuid4().hex
    said = invoke("store", do="objects", prefix=prefix, data=data, keep=True)
    keys = [f"{prefix}/one", f"{prefix}/two"]
    assert said == {
        "listed": keys,
        "data": data,
        "type": "image/x-e2e",
        "metadata": {"made-by": "store"},
    }
    assert s3.get_object(Bucket="files", Key=keys[0])["Body"].read() == bytes(range(256))
