import pytest
from esb_cli.spec_model import Where

TABLE = """\
Resources:
  T:
    Type: AWS::DynamoDB::Table
    Properties:
      AttributeDefinitions:
        - {AttributeName: id, AttributeType: S}
        - {AttributeName: 123, AttributeType: "N"}
      KeySchema: [{AttributeName: id, KeyType: HASH}]
"""


def test_a_table_keeps_the_shape_of_cloudformation_with_typed_leaves(build):
    template = (
        TABLE
        + """\
      TableName: !Sub "${AWS::StackName}-orders"
      ProvisionedThroughput: {ReadCapacityUnits: "5", WriteCapacityUnits: 1}
      TimeToLiveSpecification: {AttributeName: ttl, Enabled: "true"}
      GlobalSecondaryIndexes:
        - IndexName: by
          KeySchema: [{AttributeName: 123, KeyType: HASH}]
          Projection: {ProjectionType: ALL}
"""
    )
    (table,) = build(template).tables
    assert (table.name, table.logical_id, table.where) == ("shop-dev-orders", "T", Where("t.yaml", 3))
    assert table.properties == {
        "TableName": "shop-dev-orders",
        "AttributeDefinitions": [
            {"AttributeName": "id", "AttributeType": "S"},
            {"AttributeName": "123", "AttributeType": "N"},
        ],
        "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
        "ProvisionedThroughput": {"ReadCapacityUnits": 5, "WriteCapacityUnits": 1},
        "GlobalSecondaryIndexes": [
            {
                "IndexName": "by",
                "KeySchema": [{"AttributeName": "123", "KeyType": "HASH"}],
                "Projection": {"ProjectionType": "ALL"},
            }
        ],
        "TimeToLiveSpecification": {"AttributeName": "ttl", "Enabled": True},
    }


def test_a_table_without_a_name_is_named_after_project_environment_and_logical_id(build):
    assert build(TABLE, env="test").tables[0].name == "shop-test-T"


@pytest.mark.parametrize(
    ("properties", "expected"),
    [
        (
            "{}",
            {
                "TableName": "shop-dev-T",
                "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}],
                "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
                "BillingMode": "PAY_PER_REQUEST",
            },
        ),
        (
            "{TableName: abc, PrimaryKey: {Name: n, Type: Number}, ProvisionedThroughput: "
            "{ReadCapacityUnits: 2, WriteCapacityUnits: 1}}",
            {
                "TableName": "abc",
                "AttributeDefinitions": [{"AttributeName": "n", "AttributeType": "N"}],
                "KeySchema": [{"AttributeName": "n", "KeyType": "HASH"}],
                "ProvisionedThroughput": {"ReadCapacityUnits": 2, "WriteCapacityUnits": 1},
            },
        ),
    ],
)
def test_a_simple_table_becomes_a_table_with_one_key(build, properties, expected):
    template = f"Resources: {{T: {{Type: AWS::Serverless::SimpleTable, Properties: {properties}}}}}\n"
    assert build(template).tables[0].properties == expected


def test_a_bucket_has_its_name_and_lifecycle(build):
    template = """
    Resources:
      Files:
        Type: AWS::S3::Bucket
        Properties:
          LifecycleConfiguration:
            Rules: [{Id: old, Status: Enabled, ExpirationInDays: 30, Prefix: tmp/}]
          PublicAccessBlockConfiguration: {BlockPublicAcls: true}
    """
    spec = build(template)
    assert spec.buckets[0].properties == {
        "BucketName": "shop-dev-files",
        "LifecycleConfiguration": {
            "Rules": [{"Id": "old", "Status": "Enabled", "ExpirationInDays": 30, "Prefix": "tmp/"}]
        },
    }
    assert spec.findings == ()


BUCKET = "Resources:\n  B:\n    Type: AWS::S3::Bucket\n    Properties:\n      LifecycleConfiguration: "


@pytest.mark.parametrize(
    ("lifecycle", "message"),
    [
        ("nope", "LifecycleConfiguration: expected a mapping, found 'nope'"),
        ("", "LifecycleConfiguration: expected a mapping, found nothing"),
        ("{}", "LifecycleConfiguration.Rules: expected a list, found nothing"),
        ("{Rules: {Status: Enabled}}", "LifecycleConfiguration.Rules: expected a list, found a mapping"),
        ("{Rules: [x]}", "LifecycleConfiguration.Rules[0]: expected a mapping, found 'x'"),
        ("{Rules: [{Id: a}]}", "Rules[0].Status: expected Disabled or Enabled, found nothing"),
        ("{Rules: [{Status: true}]}", "Rules[0].Status: expected Disabled or Enabled, found 'true'"),
        (
            "{Rules: [{Status: Enabled, Transitions: [{TransitionInDays: x}]}]}",
            "Rules[0].Transitions[0].TransitionInDays: expected a whole number, found 'x'",
        ),
    ],
)
def test_a_lifecycle_of_another_shape_is_refused_with_its_path(problems, lifecycle, message):
    assert any(message in problem for problem in problems(BUCKET + lifecycle))


def test_numbers_and_flags_of_a_lifecycle_are_typed_and_texts_stay(build):
    rule = "{Status: Enabled, ObjectSizeGreaterThan: '5', ExpiredObjectDeleteMarker: 'true', "
    rule += "TagFilters: [{Key: 1, Value: true}], NoncurrentVersionExpiration: {NoncurrentDays: '2'}}"
    lifecycle = build(BUCKET + f"{{Rules: [{rule}]}}\n").buckets[0].properties["LifecycleConfiguration"]
    assert lifecycle["Rules"] == [
        {
            "Status": "Enabled",
            "TagFilters": [{"Key": "1", "Value": "true"}],
            "ObjectSizeGreaterThan": 5,
            "ExpiredObjectDeleteMarker": True,
            "NoncurrentVersionExpiration": {"NoncurrentDays": 2},
        }
    ]


def test_a_part_of_a_bucket_or_table_that_is_not_known_is_a_finding(losses):
    assert losses(BUCKET + "{Rules: [{Status: Enabled, ExpirationInDays: 1, Days: 2}]}\n") == [
        "B: LifecycleConfiguration: Rules[0]: the property Days, which isn't supported"
    ]
    index = "{IndexName: i, KeySchema: [], Projection: {}, Colour: x, WarmThroughput: {}}"
    assert losses(f"{TABLE}      GlobalSecondaryIndexes: [{index}]\n") == [
        "T: GlobalSecondaryIndexes[0]: the property Colour, which isn't supported"
    ]


def test_a_generated_bucket_name_is_fit_for_s3(build):
    name = "A" * 80 + "_b"
    (bucket,) = build(f"Resources: {{{name}: {{Type: AWS::S3::Bucket}}}}\n").buckets
    assert len(bucket.name) == 63
    assert bucket.name == bucket.name.lower()
    assert bucket.name != build(f"Resources: {{{name}c: {{Type: AWS::S3::Bucket}}}}\n").buckets[0].name


@pytest.mark.parametrize(
    ("template", "message"),
    [
        (
            TABLE + "      TableName: a\n",
            "TableName: expected 3 to 255 letters, digits, _, - and ., found 'a'",
        ),
        (TABLE + "      TableName: !ImportValue x\n", "TableName: expected text, known when rendering"),
        (
            TABLE + "      ProvisionedThroughput: {ReadCapacityUnits: many}\n",
            "ReadCapacityUnits: expected a whole number, found 'many'",
        ),
        (
            TABLE + "      TimeToLiveSpecification: {Enabled: maybe}\n",
            "Enabled: expected true or false, found 'maybe'",
        ),
        (TABLE + "      BillingMode: !ImportValue x\n", "BillingMode: expected a value known when rendering"),
        (
            "Resources: {T: {Type: AWS::DynamoDB::Table}}\n",
            "AttributeDefinitions: expected a list, found nothing",
        ),
        (
            "Resources: {B: {Type: AWS::S3::Bucket, Properties: {BucketName: My_Bucket}}}\n",
            "BucketName: expected 3 to 63 of a-z",
        ),
        (
            "Resources: {B: {Type: AWS::S3::Bucket, Properties: {BucketName: [a]}}}\n",
            "BucketName: expected text, found a list",
        ),
        (
            "Resources: {T: {Type: AWS::Serverless::SimpleTable, Properties: {PrimaryKey: {Type: Text}}}}\n",
            "PrimaryKey.Type: expected String, Number or Binary, found 'Text'",
        ),
        (
            "Resources: {A: {Type: AWS::S3::Bucket, Properties: {BucketName: abc}}, B: "
            "{Type: AWS::S3::Bucket, Properties: {BucketName: abc}}}\n",
            "Resources.B.Properties.BucketName: expected a name of its own, found abc, like A",
        ),
    ],
)
def test_a_wrong_table_or_bucket_is_refused(problems, template, message):
    assert any(message in problem for problem in problems(template))


@pytest.mark.parametrize(
    ("template", "lost"),
    [
        (TABLE + "      StreamSpecification: {StreamViewType: NEW_IMAGE}\n", "T: its stream"),
        (
            TABLE + "      PointInTimeRecoverySpecification: {PointInTimeRecoveryEnabled: true}\n",
            "T: its point-in-time recovery",
        ),
        (TABLE + "      SSESpecification: {SSEEnabled: true}\n", "T: its own encryption at rest"),
        (TABLE + "      Colour: x\n", "T: the property Colour, which isn't supported"),
        (
            "Resources: {B: {Type: AWS::S3::Bucket, Properties: {VersioningConfiguration: "
            "{Status: Enabled}}}}\n",
            "B: its versions of objects",
        ),
        (
            "Resources: {B: {Type: AWS::S3::Bucket, Properties: {NotificationConfiguration: {}}}}\n",
            "B: its notifications",
        ),
        (
            "Resources: {B: {Type: AWS::S3::Bucket, Properties: {AccessControl: PublicRead}}}\n",
            "B: its access control list PublicRead",
        ),
    ],
)
def test_what_a_table_or_bucket_loses_is_a_finding(losses, template, lost):
    assert losses(template) == [lost]


def test_tags_and_table_classes_are_harmless(losses):
    assert losses(TABLE + "      Tags: [{Key: a, Value: b}]\n      TableClass: STANDARD\n") == []
