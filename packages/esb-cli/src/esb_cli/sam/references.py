"""What `Ref` and `Fn::GetAtt` give on a box: pseudo parameters, and the names and ARNs of resources.

A resource that has no name on a box, or an attribute only AWS knows, gives an `Unknown`; a name that is
nowhere in the template, or a resource that its condition leaves out, is an error.
"""

import re
import uuid
from collections.abc import Callable, Iterator
from difflib import get_close_matches
from hashlib import sha256

from artifact_contract.nodes import Mapping
from attrs import field, frozen

from esb_cli.sam.evaluate import Evaluator
from esb_cli.sam.report import Marked
from esb_cli.sam.template import Resource
from esb_cli.sam.values import Items, Text, Unknown, Value

__all__ = ["References", "Surroundings"]

_STACK_NAMESPACE = uuid.UUID("6f0f1c3e-8d0a-5c6b-9a54-4d1b5b7a6e21")
_FUNCTIONS = ("AWS::Serverless::Function", "AWS::Lambda::Function")
_TABLES = ("AWS::Serverless::SimpleTable", "AWS::DynamoDB::Table")
_LAYERS = ("AWS::Serverless::LayerVersion", "AWS::Lambda::LayerVersion")
# the property that names a resource; without it the second rule makes the name
_NAMES = {
    **dict.fromkeys(_FUNCTIONS, ("FunctionName", "plain")),
    **dict.fromkeys(_TABLES, ("TableName", "stack")),
    **dict.fromkeys(_LAYERS, ("LayerName", "plain")),
    "AWS::S3::Bucket": ("BucketName", "bucket"),
    "AWS::IAM::Role": ("RoleName", "stack"),
    "AWS::Logs::LogGroup": ("LogGroupName", "stack"),
}


@frozen
class Surroundings:
    """Where a template is rendered for: what pseudo parameters and generated names are made from."""

    project: str
    env: str
    region: str
    account: str

    @property
    def stack(self) -> str:
        """The name that a stack would have."""
        return f"{self.project}-{self.env}"

    @property
    def partition(self) -> str:
        """The ARN partition of the region."""
        if self.region.startswith("cn-"):
            return "aws-cn"
        return "aws-us-gov" if self.region.startswith("us-gov-") else "aws"

    @property
    def url_suffix(self) -> str:
        """The domain of the region's services."""
        return "amazonaws.com.cn" if self.partition == "aws-cn" else "amazonaws.com"

    def arn(self, service: str, rest: str) -> str:
        """An ARN in the region and account."""
        return f"arn:{self.partition}:{service}:{self.region}:{self.account}:{rest}"

    def pseudo(self, name: str) -> str | None:
        """The text of a pseudo parameter; None for another name. A stack's id never changes."""
        stack_id = f"stack/{self.stack}/{uuid.uuid5(_STACK_NAMESPACE, self.stack)}"
        return {
            "AWS::Region": self.region,
            "AWS::AccountId": self.account,
            "AWS::Partition": self.partition,
            "AWS::StackName": self.stack,
            "AWS::StackId": self.arn("cloudformation", stack_id),
            "AWS::URLSuffix": self.url_suffix,
        }.get(name)

    def generated(self, rule: str, logical_id: str) -> str:
        """The name of a resource that the template doesn't name."""
        if rule == "plain":
            return logical_id
        name = f"{self.stack}-{logical_id}"
        return _bucket_name(name) if rule == "bucket" else name


def _bucket_name(name: str) -> str:
    """Fit for S3: lower case, no underscores, at most 63 characters."""
    fit = re.sub(r"[^a-z0-9.-]", "-", name.lower()).strip("-.")
    return fit if len(fit) <= 63 else f"{fit[:54]}-{sha256(name.encode()).hexdigest()[:8]}"


_Attribute = Callable[[Surroundings, str], str]

_FUNCTION_ATTRIBUTES: dict[str, _Attribute] = {"Arn": lambda s, name: s.arn("lambda", f"function:{name}")}
_TABLE_ATTRIBUTES: dict[str, _Attribute] = {"Arn": lambda s, name: s.arn("dynamodb", f"table/{name}")}
_ATTRIBUTES: dict[str, dict[str, _Attribute]] = {
    **dict.fromkeys(_FUNCTIONS, _FUNCTION_ATTRIBUTES),
    **dict.fromkeys(_TABLES, _TABLE_ATTRIBUTES),
    "AWS::S3::Bucket": {
        "Arn": lambda s, name: f"arn:{s.partition}:s3:::{name}",
        "DomainName": lambda s, name: f"{name}.s3.{s.url_suffix}",
        "DualStackDomainName": lambda s, name: f"{name}.s3.dualstack.{s.region}.{s.url_suffix}",
        "RegionalDomainName": lambda s, name: f"{name}.s3.{s.region}.{s.url_suffix}",
        "WebsiteURL": lambda s, name: f"http://{name}.s3-website-{s.region}.{s.url_suffix}",
    },
    "AWS::IAM::Role": {"Arn": lambda s, name: f"arn:{s.partition}:iam::{s.account}:role/{name}"},
    "AWS::Logs::LogGroup": {"Arn": lambda s, name: s.arn("logs", f"log-group:{name}:*")},
}
_SUFFIXES = ("Role", "Version", "Alias", "Url", "Deployment", "EventInvokeConfig")
_IMPLICIT = ("ServerlessRestApi", "ServerlessHttpApi", "ServerlessDeploymentApplication")


@frozen
class References:
    """Answers references; `excluded` has the resources whose condition doesn't hold, with the condition."""

    evaluator: Evaluator
    surroundings: Surroundings
    resources: dict[str, Resource]
    excluded: dict[str, str]
    _names: dict[str, Value] = field(factory=dict, eq=False)

    def lookup(self, name: str, attribute: str, at: Marked) -> Value | None:
        """What `Ref` (no attribute) or `Fn::GetAtt` gives; None for `AWS::NoValue`."""
        if name.startswith("AWS::"):
            return self._pseudo(name, at)
        if name in self.excluded:
            found = f"{name}, which isn't made because the condition {self.excluded[name]} is false"
            return self.evaluator.wrong(at, _function(attribute), "a resource that is made", found)
        resource = self.resources.get(name)
        if resource is None:
            return self._elsewhere(name, attribute, at)
        return self._attribute(resource, attribute, at) if attribute else self._ref(resource, at)

    def _pseudo(self, name: str, at: Marked) -> Value | None:
        if name == "AWS::NoValue":
            return None
        if name == "AWS::NotificationARNs":
            return Items((), at.line, at.column)
        text = self.surroundings.pseudo(name)
        if text is None:
            return self.evaluator.wrong(at, "Ref", "a pseudo parameter of CloudFormation", name)
        return Text(text, line=at.line, column=at.column)

    def _elsewhere(self, name: str, attribute: str, at: Marked) -> Unknown:
        if self.is_made_by_sam(name):
            reason = f"{name} is something that SAM makes on AWS and a box doesn't have"
            return Unknown(reason, at.line, at.column, resource=name)
        known = [*self.evaluator.parameters, *self.resources]
        close = get_close_matches(name, known, n=1)
        hint = f"did you mean {close[0]}?" if close else ""
        expected = (
            "a parameter or resource of the template" if not attribute else "a resource of the template"
        )
        return self.evaluator.wrong(at, _function(attribute), expected, name, hint)

    def is_made_by_sam(self, name: str) -> bool:
        """Whether SAM makes a resource of this name for those of the template."""
        first = name.partition(".")[0]  # MyFunction.Alias
        return first in self.resources or name.startswith((*_IMPLICIT, *self._stems(name)))

    def _stems(self, name: str) -> Iterator[str]:
        """How the names begin that SAM gives to what it makes for the resources (MyFunctionRole)."""
        for logical_id, resource in self.resources.items():
            if resource.type.startswith("AWS::Serverless::") and name.startswith(logical_id):
                events = resource.properties.items.get("Events")
                own = events.items if isinstance(events, Mapping) else ()
                yield from (logical_id + suffix for suffix in (*_SUFFIXES, *own))
                if name.endswith("Stage"):
                    yield logical_id

    def _ref(self, resource: Resource, at: Marked) -> Value:
        name = self.name_of(resource, at)
        if isinstance(name, Text):
            text = self.layer_arn(name.text) if resource.type in _LAYERS else name.text
            return Text(text, line=at.line, column=at.column)
        return name

    def layer_arn(self, name: str) -> str:
        """The ARN that stands for a local layer."""
        return self.surroundings.arn("lambda", f"layer:{name}:1")

    def _attribute(self, resource: Resource, attribute: str, at: Marked) -> Value:
        make = _ATTRIBUTES.get(resource.type, {}).get(attribute)
        if make is None:
            reason = f"{resource.logical_id}.{attribute} of {resource.type} isn't known on a box"
            return Unknown(reason, at.line, at.column)
        name = self.name_of(resource, at)
        if isinstance(name, Text):
            return Text(make(self.surroundings, name.text), line=at.line, column=at.column)
        return name

    def name_of(self, resource: Resource, at: Marked) -> Value:
        """The name of a resource on a box: a `Text`, or why it has none."""
        key, rule = _NAMES.get(resource.type, ("", ""))
        if not key:
            reason = f"{resource.logical_id} is {resource.type}, which has no name on a box"
            return Unknown(reason, at.line, at.column, resource=resource.logical_id)
        if resource.logical_id not in self._names:
            with self.evaluator.entering(f"{resource.logical_id}.{key}", at) as refused:
                self._names[resource.logical_id] = refused or self._named(resource, key, rule)
        return self._names[resource.logical_id]

    def _named(self, resource: Resource, key: str, rule: str) -> Value:
        node = resource.properties.items.get(key)
        value = None if node is None else self.evaluator.value(node)
        if value is None:
            text = self.surroundings.generated(rule, resource.logical_id)
            return Text(text, line=resource.line, column=resource.column)
        if isinstance(value, Text | Unknown):
            return value
        return self.evaluator.wrong(value, f"{resource.logical_id}.{key}", "text", "something else")


def _function(attribute: str) -> str:
    return "Fn::GetAtt" if attribute else "Ref"
