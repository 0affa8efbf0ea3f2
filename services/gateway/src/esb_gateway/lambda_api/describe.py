"""What the box knows of a function, in the fields that AWS has for it; what it doesn't know is left out.

Environment variables are shown as they stand in `functions.yml`: `${NAME}` is the name of a secret there and
stays a name here. What the gateway adds for workers is not shown.
"""

from __future__ import annotations

from datetime import UTC, datetime

from artifact_contract.config_types import Cors, Function, with_defaults

from esb_gateway.deployment import Deployment
from esb_gateway.routes.function_urls import PREFIX

_DIGEST = "@sha256:"
Fields = dict[str, object]


def function(deployment: Deployment, name: str, qualifier: str | None) -> Fields:
    """What GetFunction answers."""
    image = _written(deployment, name).image
    code: Fields = {"RepositoryType": "ECR", "ImageUri": image}
    if _DIGEST in image:
        code["ResolvedImageUri"] = image
    fields: Fields = {"Configuration": configuration(deployment, name, qualifier), "Code": code}
    reserved = concurrency(deployment, name)
    return fields | {"Concurrency": reserved} if reserved else fields


def configuration(deployment: Deployment, name: str, qualifier: str | None) -> Fields:
    """What GetFunctionConfiguration answers."""
    return summary(deployment, name, qualifier) | {"State": "Active", "LastUpdateStatus": "Successful"}


def summary(deployment: Deployment, name: str, qualifier: str | None) -> Fields:
    """A function as ListFunctions shows it."""
    written, target = _written(deployment, name), deployment.targets[name]
    fields: Fields = {
        "FunctionName": name,
        "FunctionArn": f"{target.arn}:{qualifier}" if qualifier else target.arn,
        "Version": "$LATEST",
        "PackageType": "Image",
        "CodeSize": 0,  # as AWS says of images
        "Description": written.description,
        "Timeout": int(target.timeout),
        "MemorySize": target.pool.spec.memory_mb,
        "Architectures": list(written.architectures or ("x86_64",)),
        "LastModified": _stamp(deployment.modified),
        "TracingConfig": {"Mode": "PassThrough"},
    }
    for key, value in (
        ("Runtime", written.runtime),
        ("Handler", written.handler),
        ("CodeSha256", written.image.rpartition(_DIGEST)[2] if _DIGEST in written.image else ""),
    ):
        if value:
            fields[key] = value
    if written.environment:
        fields["Environment"] = {"Variables": dict(written.environment)}
    return fields


def concurrency(deployment: Deployment, name: str) -> Fields:
    """What GetFunctionConcurrency answers."""
    scaling = _written(deployment, name).scaling
    if scaling is None or scaling.max_capacity is None:
        return {}
    return {"ReservedConcurrentExecutions": scaling.max_capacity}


def url(deployment: Deployment, name: str, origin: str) -> Fields | None:
    """What GetFunctionUrlConfig answers; None for a function without URL."""
    configured = _written(deployment, name).function_url
    if configured is None:
        return None
    stamp = _stamp(deployment.modified)
    fields: Fields = {
        "FunctionUrl": f"{origin}{PREFIX}{name}/",
        "FunctionArn": deployment.arn_of(name),
        "AuthType": configured.auth_type,
        "InvokeMode": configured.invoke_mode,
        "CreationTime": stamp,
        "LastModifiedTime": stamp,
    }
    return fields if configured.cors is None else fields | {"Cors": _cors(configured.cors)}


def _cors(configured: Cors) -> Fields:
    fields: Fields = {
        "AllowCredentials": configured.allow_credentials,
        "AllowHeaders": list(configured.allow_headers),
        "AllowMethods": list(configured.allow_methods),
        "AllowOrigins": list(configured.allow_origins),
        "ExposeHeaders": list(configured.expose_headers),
    }
    return fields if configured.max_age is None else fields | {"MaxAge": configured.max_age}


def event_invoke(deployment: Deployment, name: str, qualifier: str | None) -> Fields | None:
    """What GetFunctionEventInvokeConfig answers; None where nothing is configured."""
    configured = _written(deployment, name).async_invoke
    if configured is None:
        return None
    fields: Fields = {
        "FunctionArn": f"{deployment.arn_of(name)}:{qualifier or '$LATEST'}",
        "LastModified": deployment.modified,
    }
    if configured.max_retries is not None:
        fields["MaximumRetryAttempts"] = configured.max_retries
    if configured.max_age is not None:
        fields["MaximumEventAgeInSeconds"] = configured.max_age
    if configured.on_failure:
        target = configured.on_failure
        arn = target if target.startswith("arn:") else deployment.arn_of(target)
        fields["DestinationConfig"] = {"OnFailure": {"Destination": arn}}
    return fields


def _written(deployment: Deployment, name: str) -> Function:
    return with_defaults(deployment.written.functions[name], deployment.written.defaults)


def _stamp(seconds: float) -> str:
    """AWS's form of a time: 2023-11-14T22:13:20.000+0000."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.000+0000")
