"""Local layers: which directory each has, and which of them a function uses, in the template's order."""

import re

from artifact_contract.nodes import quote
from attrs import field, frozen

from esb_cli.sam.code import Site, build_settings, is_archive, requirements_in
from esb_cli.sam.properties import Properties, of_resource
from esb_cli.sam.resolve import Resolution
from esb_cli.sam.template import Resource
from esb_cli.sam.values import Fields, Text, Unknown, describe
from esb_cli.spec_model import LayerSpec, Where

__all__ = ["LAYER_TYPES", "Layers", "read_layers"]

LAYER_TYPES = {"AWS::Serverless::LayerVersion": "ContentUri", "AWS::Lambda::LayerVersion": "Content"}
_NAME = re.compile(r"[A-Za-z0-9_-]{1,140}\Z")


@frozen
class Layers:
    """The template's layers by the ARN that stands for each in references; None for one that is left out."""

    by_arn: dict[str, LayerSpec | None] = field(factory=dict)

    @property
    def specs(self) -> tuple[LayerSpec, ...]:
        """The layers that are carried along."""
        return tuple(spec for spec in self.by_arn.values() if spec is not None)

    def of_function(self, props: Properties) -> tuple[LayerSpec, ...]:
        """The local layers that a function names; each of the others is a finding."""
        found: dict[str, LayerSpec] = {}
        for item in props.items("Layers"):
            if isinstance(item, Text):
                spec = self.by_arn.get(item.text)
                if spec is None:
                    props.lose(f"the layer {item.text}: only layers of the template are carried along", item)
                else:
                    found.setdefault(item.text, spec)
            elif not isinstance(item, Unknown):
                props.wrong("Layers", "the ARN of a layer", describe(item), at=item)
            elif not item.reported:
                props.lose(f"a layer: {item.reason}", item)
        return tuple(found.values())


def read_layers(resolution: Resolution, site: Site) -> Layers:
    """The layers of a template."""
    layers = Layers()
    for resource in resolution.resources:
        if resource.type in LAYER_TYPES:
            _read(resource, resolution, site, layers)
    return layers


def _read(resource: Resource, resolution: Resolution, site: Site, layers: Layers) -> None:
    props = of_resource(resource, resolution)
    name = props.text("LayerName") or Text(resource.logical_id)
    arn = resolution.references.layer_arn(name.text)
    if not _NAME.match(name.text):
        props.wrong("LayerName", "1 to 140 letters, digits, - and _", quote(name.text))
    elif arn in layers.by_arn:
        props.wrong("LayerName", "a name that no other layer has", quote(name.text))
    else:
        layers.by_arn[arn] = _spec(resource, props, name.text, site)


def _spec(resource: Resource, props: Properties, name: str, site: Site) -> LayerSpec | None:
    key = LAYER_TYPES[resource.type]
    method, builds = build_settings(props, resource)
    if method and not method.startswith("python"):
        props.lose(f"the layer is left out: its build method {method} isn't supported in this version")
        return None
    value = props.value(key)
    text = (
        None
        if isinstance(value, Fields)
        else props.required_text(key, "a directory, relative to the template")
    )
    if isinstance(value, Fields) or (text and (text.text.startswith("s3://") or is_archive(site, text))):
        props.lose("the layer is left out: its content is no local directory", props.at(key))
        return None
    path = site.find(text, key, props) if text else None
    if path is None:
        return None
    props.finish(resource.type)
    built = builds and (bool(method) or not (path / "python").is_dir())
    requirements = requirements_in(path) if built else None
    below_python = not (path / "python").is_dir() and (bool(method) or requirements is not None)
    where = Where(props.resolution.report.file, resource.line)
    return LayerSpec(name, path, "python" if below_python else "", requirements, resource.logical_id, where)
