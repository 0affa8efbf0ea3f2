"""What the box knows of a function, in the fields that AWS has for it; what it doesn't know is left out.

Environment variables are shown as they stand in `functions.yml`: `${NAME}` is the name of a secret there and
stays a name here. What the gateway adds for workers is not shown.
"""

from __future__ import annotations

from datetime import UTC, datetime

from artifact_contract.config_types import Function, with_defaults

from esb_gateway.deployment import Deployment

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


def _written(deployment: Deployment, name: str) -> Function:
    return with_defaults(deployment.written.functions[name], deployment.written.defaults)


def _stamp(seconds: float) -> str:
    """AWS's form of a time: 2023-11-14T22:13:20.000+0000."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.000+0000")
