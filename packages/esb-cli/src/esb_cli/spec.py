"""What a SAM construct means on a box: a template file becomes a `DeploySpec`.

    bytes -load-> nodes -read-> Template -resolve-> Resolution -interpret-> DeploySpec

Everything wrong with a template is found in one run and raised as one `TemplateError`. Everything that is
right and that a box doesn't have is a `Finding`; nothing of a template is dropped without a word.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path

from attrs import evolve

from esb_cli.sam.apis import API_TYPES, RouteBook, report_apis
from esb_cli.sam.code import Site
from esb_cli.sam.compose import Spot
from esb_cli.sam.functions import FUNCTION_TYPES, Reader
from esb_cli.sam.layers import LAYER_TYPES, read_layers
from esb_cli.sam.load import load_template
from esb_cli.sam.references import Surroundings
from esb_cli.sam.report import Owner, Report
from esb_cli.sam.resolve import Resolution, resolve
from esb_cli.sam.storage import read_bucket, read_simple_table, read_table
from esb_cli.sam.support import HARMLESS_TYPES
from esb_cli.sam.template import read_template
from esb_cli.spec_model import BucketSpec, DeploySpec, FunctionSpec, TableSpec

__all__ = ["build_spec", "spec_of"]

_TABLE_READERS = {"AWS::DynamoDB::Table": read_table, "AWS::Serverless::SimpleTable": read_simple_table}
_BUCKET = "AWS::S3::Bucket"
_SUPPORTED = frozenset((*FUNCTION_TYPES, *API_TYPES, *LAYER_TYPES, *_TABLE_READERS, _BUCKET))


def build_spec(
    template_path: Path,
    *,
    project: str,
    env: str,
    parameters: Mapping[str, str],
    region: str = "us-east-1",
    account: str = "000000000000",
    root: Path | None = None,
    display: str | None = None,
) -> DeploySpec:
    """Read, resolve and interpret one template.

    Args:
        template_path: The template; code paths in it are relative to its directory.
        project: Part of generated table and bucket names.
        env: Part of generated table and bucket names.
        parameters: Values for the template's parameters; their text is kept.
        region: What `AWS::Region` gives.
        account: What `AWS::AccountId` gives, and the account of every ARN.
        root: Code has to lie below this directory, when it is given.
        display: The name of the template in messages; the path as given by default.

    Raises:
        TemplateError: With every problem found, each at its place.
    """
    report = Report(display or str(template_path))
    surroundings = Surroundings(project, env, region, account)
    site = Site(template_path.resolve().parent, root)
    return spec_of(_read(template_path, report), parameters, surroundings, site, report)


def spec_of(
    data: bytes, parameters: Mapping[str, str], surroundings: Surroundings, site: Site, report: Report
) -> DeploySpec:
    """Interpret the bytes of a template that lies at `site`.

    Raises:
        TemplateError: With every problem found, each at its place.
    """
    nodes = load_template(data, report)
    report.raise_problems()
    if nodes is None:
        raise AssertionError("a template that can't be read leaves a problem")
    template = read_template(nodes, report)
    resolution = resolve(template, parameters, surroundings, report)
    spec = _interpret(resolution, site)
    report.raise_problems()
    return spec


def _read(path: Path, report: Report) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        report.problem(Spot(0, 0), "", "a template", error.strerror or str(error))
    report.raise_problems()
    return b""


def _interpret(resolution: Resolution, site: Site) -> DeploySpec:
    layers = read_layers(resolution, site)
    book = RouteBook(resolution)
    reader = Reader(resolution, layers, book, site)
    functions: list[FunctionSpec] = []
    tables: list[TableSpec] = []
    buckets: list[BucketSpec] = []
    for resource in resolution.resources:
        if resource.type in FUNCTION_TYPES:
            function = reader.read(resource)
            functions += [function] if function is not None else []
        elif resource.type in _TABLE_READERS:
            tables.append(_TABLE_READERS[resource.type](resource, resolution))
        elif resource.type == _BUCKET:
            buckets.append(read_bucket(resource, resolution))
    report_apis(resolution, book)
    _report_unsupported(resolution)
    for kind, named in (("FunctionName", functions), ("TableName", tables), ("BucketName", buckets)):
        _refuse_doubles(kind, named, resolution.report)
    return DeploySpec(
        functions=tuple(evolve(it, routes=tuple(map(book.with_methods, it.routes))) for it in functions),
        tables=tuple(tables),
        buckets=tuple(buckets),
        layers=layers.specs,
        findings=resolution.report.findings,
        secrets=_secrets(functions, resolution),
        secret_parameters=tuple(name for name, it in resolution.evaluator.parameters.items() if it.secret),
    )


def _report_unsupported(resolution: Resolution) -> None:
    for resource in resolution.resources:
        if resource.type not in _SUPPORTED and resource.type not in HARMLESS_TYPES:
            owner = Owner(resource.logical_id, resource.type)
            lost = "the whole resource: its type isn't supported in this version"
            resolution.report.finding(owner, Spot(resource.line, resource.column), lost)


def _refuse_doubles(
    kind: str, named: Iterable[FunctionSpec | TableSpec | BucketSpec], report: Report
) -> None:
    first: dict[str, str] = {}
    for spec in named:
        other = first.setdefault(spec.name, spec.logical_id)
        if other != spec.logical_id:
            where = f"Resources.{spec.logical_id}.Properties.{kind}"
            report.problem(Spot(spec.where.line, 1), where, "a name of its own", f"{spec.name}, like {other}")


def _secrets(functions: Iterable[FunctionSpec], resolution: Resolution) -> tuple[str, ...]:
    values = [text for function in functions for text in function.environment.values()]
    used = resolution.evaluator.secrets_used
    return tuple(name for name in used if any(f"${{{name}}}" in text for text in values))
