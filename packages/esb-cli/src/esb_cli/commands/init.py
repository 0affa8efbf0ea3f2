"""`esb init`: the project file, and something to start from where there is no template yet."""

import re
from pathlib import Path

import click

from esb_cli.cli import SomePath, Surroundings

__all__ = ["init"]

PROJECT_FILE = "esb.toml"
TEMPLATE_FILE = "template.yaml"

PROJECT = """\
[project]
name = "{name}"

[defaults]
env = "dev"
mode = "process"  # or docker, containerd
template = "template.yaml"
"""

TEMPLATE = """\
AWSTemplateFormatVersion: "2010-09-09"
Transform: AWS::Serverless-2016-10-31

Resources:
  Hello:
    Type: AWS::Serverless::Function
    Properties:
      Runtime: python3.12
      Handler: app.handler
      CodeUri: hello/
      Events:
        Get:
          Type: Api
          Properties:
            Path: /hello
            Method: get
"""

FUNCTION = """\
import json


def handler(event, context):
    return {"statusCode": 200, "body": json.dumps({"message": "hello"})}
"""

GITIGNORE = """\
.esb/
artifact/
"""


@click.command(short_help="Start a project.")
@click.argument("directory", default=".", type=SomePath(file_okay=False, path_type=Path))
@click.option("--name", help="The project's name.  [default: the directory's]")
@click.pass_obj
def init(here: Surroundings, directory: Path, name: str | None) -> None:
    """Start a project in DIRECTORY: an esb.toml, and a hello function where there is no template.

    Nothing that exists is changed.
    """
    from esb_cli.errors import UsageError  # noqa: PLC0415 - slow, and esb --help reads this module
    from esb_cli.project import parse_name  # noqa: PLC0415 - see above

    root = here.absolute(directory)
    try:
        name = parse_name(name if name is not None else _name_of(root))
    except ValueError as error:
        raise UsageError(f"--name: {error}") from error
    wanted = {PROJECT_FILE: PROJECT.format(name=name)}
    if not any((root / template).exists() for template in (TEMPLATE_FILE, "template.yml")):
        wanted |= {TEMPLATE_FILE: TEMPLATE, "hello/app.py": FUNCTION}
    for file in wanted:
        if (root / file).exists():
            raise UsageError(f"{here.shown(root / file)}: exists already, nothing was written")
    if not (root / ".gitignore").exists():
        wanted[".gitignore"] = GITIGNORE
    for file, text in wanted.items():
        path = root / file
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8", newline="\n") as new:
            new.write(text)
        click.echo(here.shown(path))


def _name_of(root: Path) -> str:
    return re.sub(r"[^A-Za-z0-9._-]+", "-", root.name).lstrip("-._") or "project"
