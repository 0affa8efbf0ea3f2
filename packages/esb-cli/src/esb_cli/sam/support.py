"""What of a template has no effect on a box, and what is lost there: the lists behind every finding.

Harmless is what only tells AWS who may do what (a box has no IAM), watches, names, tags or describes, or
says how AWS ships and bills; it is passed over. Lost is what a person would miss; it becomes a finding with
the words given here. Whatever is in neither list, and isn't understood, is a finding as well.
"""

from attrs import field, frozen

__all__ = ["HARMLESS_TYPES", "RULES", "Rules"]


@frozen
class Rules:
    """How the properties of one construct are met that nothing else reads."""

    harmless: frozenset[str] = frozenset()
    lost: dict[str, str] = field(factory=dict)


HARMLESS_TYPES = frozenset(
    (
        *("AWS::IAM::Role", "AWS::IAM::Policy", "AWS::IAM::ManagedPolicy", "AWS::IAM::RolePolicy"),
        *("AWS::Lambda::Permission", "AWS::Lambda::LayerVersionPermission", "AWS::Serverless::Connector"),
        *("AWS::Logs::LogGroup", "AWS::ApiGateway::Account", "AWS::CDK::Metadata"),
    )
)
_DEAD_LETTERS = "its dead letter queue: events given up go to the box's dead-letter store"
_FUNCTION_LOST = {
    "VpcConfig": "its place in a VPC: it runs in the box's network",
    "FileSystemConfigs": "its file systems",
    "ImageConfig": "its image settings",
    "TenancyConfig": "its tenant isolation",
    "DurableConfig": "its durable execution",
    "CapacityProviderConfig": "its capacity provider",
    "FunctionScalingConfig": "its scaling settings",
    "RecursiveLoop": "its protection against loops",
}
_FUNCTION_HARMLESS = (
    *("Policies", "Role", "PermissionsBoundary", "AssumeRolePolicyDocument", "RolePath", "Tags"),
    *("PropagateTags", "KmsKeyArn", "SourceKMSKeyArn", "CodeSigningConfigArn", "SnapStart"),
    *("RuntimeManagementConfig", "EphemeralStorage", "PublishToLatestPublished"),
)
_API_LOST = {
    "DefinitionBody": "its OpenAPI document, and its guards: only the events of functions make routes",
    "DefinitionUri": "its OpenAPI document, and its guards: only the events of functions make routes",
    "Domain": "its domain name",
    "Variables": "its stage variables",
    "Models": "the check of requests against its models",
    "GatewayResponses": "its own error answers",
    "MethodSettings": "its settings of methods, such as throttling",
    "CacheClusterEnabled": "its response cache",
    "CacheClusterSize": "its response cache",
    "CanarySetting": "its canary deployment",
    "BinaryMediaTypes": "its list of binary media types: the gateway goes by what a request holds",
    "MinimumCompressionSize": "the compression of answers",
    "ApiKeySourceType": "its API keys",
    "Mode": "its import mode",
    "Policy": "its resource policy: its routes are closed",
    "SecurityPolicy": "its TLS policy",
}
_HTTP_API_LOST = {
    "DefinitionBody": "its OpenAPI document, and its guards: only the events of functions make routes",
    "DefinitionUri": "its OpenAPI document, and its guards: only the events of functions make routes",
    "Domain": "its domain name",
    "StageVariables": "its stage variables",
    "DefaultRouteSettings": "its throttling",
    "RouteSettings": "its throttling",
}
_TABLE_LOST = {
    "StreamSpecification": "its stream",
    "KinesisStreamSpecification": "its stream to Kinesis",
    "PointInTimeRecoverySpecification": "its point-in-time recovery",
    "ImportSourceSpecification": "the import of data",
    "SSESpecification": "its own encryption at rest",
}
_TABLE_HARMLESS = (
    *(
        "Tags",
        "TableClass",
        "ContributorInsightsSpecification",
        "DeletionProtectionEnabled",
        "ResourcePolicy",
    ),
    *("OnDemandThroughput", "WarmThroughput"),
)

RULES: dict[str, Rules] = {
    "AWS::Serverless::Function": Rules(
        frozenset(
            (
                *_FUNCTION_HARMLESS,
                *("Tracing", "AutoPublishAlias", "AutoPublishCodeSha256", "AutoPublishAliasAllProperties"),
                *("VersionDescription", "VersionDeletionPolicy"),
            )
        ),
        _FUNCTION_LOST
        | {
            "DeadLetterQueue": _DEAD_LETTERS,
            "DeploymentPreference": "its gradual deployment: a new version takes all calls at once",
        },
    ),
    "AWS::Lambda::Function": Rules(
        frozenset((*_FUNCTION_HARMLESS, "TracingConfig")),
        _FUNCTION_LOST | {"DeadLetterConfig": _DEAD_LETTERS},
    ),
    "AWS::Serverless::Api": Rules(
        frozenset(
            (
                *(
                    "Name",
                    "Description",
                    "Tags",
                    "PropagateTags",
                    "TracingEnabled",
                ),
                *(
                    "AccessLogSetting",
                    "EndpointConfiguration",
                    "OpenApiVersion",
                    "AlwaysDeploy",
                    "FailOnWarnings",
                ),
                *("DisableExecuteApiEndpoint", "MergeDefinitions", "EndpointAccessMode"),
            )
        ),
        _API_LOST,
    ),
    "AWS::Serverless::HttpApi": Rules(
        frozenset(
            (
                *("Name", "Description", "Tags", "PropagateTags", "AccessLogSettings"),
                *("FailOnWarnings", "DisableExecuteApiEndpoint"),
            )
        ),
        _HTTP_API_LOST,
    ),
    "LoggingConfig": Rules(
        frozenset({"LogGroup", "SystemLogLevel"}),
        {"LogFormat": "its log format", "ApplicationLogLevel": "its log level"},
    ),
    "Api event": Rules(
        lost={
            "RequestModel": "the check of its requests",
            "RequestParameters": "the check of its request parameters",
            "TimeoutInMillis": "its own time limit",
            "ResponseTransferMode": "streaming of its answers",
        },
    ),
    "HttpApi event": Rules(
        lost={
            "RouteSettings": "its throttling",
            "TimeoutInMillis": "its own time limit",
        },
    ),
    "Api Auth": Rules(
        frozenset({"AddApiKeyRequiredToCorsPreflight", "AddDefaultAuthorizerToCorsPreflight", "InvokeRole"}),
        {
            "ResourcePolicy": "its resource policy: its routes are closed",
            "UsagePlan": "its usage plan, with its throttling and quotas",
        },
    ),
    "HttpApi Auth": Rules(frozenset({"EnableIamAuthorizer"})),
    "Api event Auth": Rules(frozenset({"InvokeRole", "OverrideApiAuth"})),
    "Authorizer": Rules(
        lost={"Identity": "where its token stands: the gateway takes it from the header Authorization"}
    ),
    "DestinationConfig": Rules(lost={"OnSuccess": "its on-success destination"}),
    "Schedule event": Rules(
        frozenset({"Description", "RoleArn"}),
        {"DeadLetterConfig": _DEAD_LETTERS, "RetryPolicy": "its retries"},
    ),
    "ScheduleV2 event": Rules(
        frozenset(
            (
                *(
                    "Description",
                    "RoleArn",
                    "PermissionsBoundary",
                    "KmsKeyArn",
                    "GroupName",
                    "OmitName",
                ),
                "FlexibleTimeWindow",
            )
        ),
        {"DeadLetterConfig": _DEAD_LETTERS, "RetryPolicy": "its retries"},
    ),
    "AWS::Serverless::LayerVersion": Rules(
        frozenset(
            (
                *("Description", "LicenseInfo", "RetentionPolicy", "CompatibleRuntimes"),
                *("CompatibleArchitectures", "PublishLambdaVersion"),
            )
        ),
    ),
    "AWS::Lambda::LayerVersion": Rules(
        frozenset({"Description", "LicenseInfo", "CompatibleRuntimes", "CompatibleArchitectures"})
    ),
    "AWS::DynamoDB::Table": Rules(frozenset(_TABLE_HARMLESS), _TABLE_LOST),
    "GlobalSecondaryIndexes": Rules(
        frozenset({"ContributorInsightsSpecification", "OnDemandThroughput", "WarmThroughput"})
    ),
    "AWS::Serverless::SimpleTable": Rules(frozenset({"Tags"}), _TABLE_LOST),
    "AWS::S3::Bucket": Rules(
        frozenset(
            (
                *("Tags", "PublicAccessBlockConfiguration", "OwnershipControls", "MetricsConfigurations"),
                *("AnalyticsConfigurations", "LoggingConfiguration", "AccelerateConfiguration"),
            )
        ),
        {
            "AccessControl": "its access control list",
            "BucketEncryption": "its own encryption at rest",
            "CorsConfiguration": "its CORS rules",
            "IntelligentTieringConfigurations": "its tiering",
            "InventoryConfigurations": "its inventory",
            "NotificationConfiguration": "its notifications",
            "ObjectLockConfiguration": "its object lock",
            "ObjectLockEnabled": "its object lock",
            "ReplicationConfiguration": "its replication",
            "VersioningConfiguration": "its versions of objects",
            "WebsiteConfiguration": "its website",
        },
    ),
}
