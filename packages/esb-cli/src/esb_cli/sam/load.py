"""Reads the bytes of a template: YAML or JSON, with CloudFormation's tags, every node with its place.

Scalars keep their text: nothing is taken for a number, a boolean or a date.
"""

import re

from artifact_contract.nodes import Mapping
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from ruamel.yaml.scanner import ScannerError

from esb_cli.sam.compose import ReadingStopped, Spot, compose
from esb_cli.sam.report import Report
from esb_cli.sam.yaml_errors import explain

__all__ = ["MAX_BYTES", "load_template"]

_BLANK_START = re.compile(r"([|>][-+0-9]*[ \t]*(?:#[^\n]*)?\r?\n)((?:[ \t]*\r?\n)+)")
MAX_BYTES = 1024 * 1024  # CloudFormation takes no larger template


def load_template(data: bytes, report: Report) -> Mapping | None:
    """The template as a tree of nodes; None when it can't be read, the report then says why."""
    text = _decode(data, report)
    if text is None:
        return None
    if text.lstrip().startswith("{"):
        text = text.replace("\t", " ")  # JSON may be indented with tabs, YAML may not; columns stay the same
    try:
        return _parse(text, report)
    except ReadingStopped:
        return None
    except YAMLError as error:
        spot, found, hint = explain(error, text)
        report.problem(Spot(*spot), "", "YAML or JSON", found, hint)
    except (ValueError, OverflowError) as error:
        # the parser converts escapes and %YAML versions with chr() and int() and lets their errors out
        report.problem(Spot(1, 1), "", "YAML or JSON", str(error))
    return None


def _parse(text: str, report: Report) -> Mapping | None:
    try:
        return compose(YAML(typ="safe", pure=True).parse(text), report)
    except ScannerError as error:
        # ruamel refuses text that begins with a blank line which is indented less than the text; it is fine
        if "more indented follow up line" not in str(error):
            raise
    emptied = _BLANK_START.sub(lambda match: match[1] + "\n" * match[2].count("\n"), text)
    return compose(YAML(typ="safe", pure=True).parse(emptied), report)


def _decode(data: bytes, report: Report) -> str | None:
    if len(data) > MAX_BYTES:
        report.problem(Spot(1, 1), "", f"at most {MAX_BYTES} bytes", f"{len(data)} bytes")
        return None
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line_start = data.rfind(b"\n", 0, error.start) + 1
        spot = Spot(data.count(b"\n", 0, error.start) + 1, error.start - line_start + 1)
        found = f"the byte 0x{data[error.start]:02x}"
        report.problem(spot, "", "UTF-8 text", found, "save the file as UTF-8")
        return None
