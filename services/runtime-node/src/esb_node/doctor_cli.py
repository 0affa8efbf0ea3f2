"""`esb-node doctor`: what this host has of what the modes need."""

from __future__ import annotations

import json
import os
import platform

import click
from attrs import asdict

from esb_node.doctor_checks import CHECKS
from esb_node.doctor_facts import MODES, Finding, examine, healthy

WORLD_FAILED = 4
_WORDS = {(True, True): "ok", (True, False): "ok", (False, True): "FAIL", (False, False): "lacks"}


@click.command()
@click.option(
    "--mode",
    "modes",
    type=click.Choice(MODES),
    multiple=True,
    help="What it is to run; repeatable.  [default: all]",
)
@click.option("--output", type=click.Choice(["text", "json"]), default="text", show_default=True)
@click.pass_context
def doctor(ctx: click.Context, modes: tuple[str, ...], output: str) -> None:
    """Look whether this host has what each mode needs; 4 when something needed is missing.

    gvisor and firecracker list what they need beyond containerd. Nothing is changed.
    """
    from esb_node.doctor_observe import observe  # noqa: PLC0415 - HTTP, which no other command needs

    chosen = [mode for mode in MODES if mode in modes or not modes]
    facts = observe(os.environ, chosen)
    findings = examine(facts, tuple(check for mode in chosen for check in CHECKS[mode]))
    click.echo(_json(findings, chosen) if output == "json" else _table(findings, chosen))
    if not healthy(findings):
        ctx.exit(WORLD_FAILED)


def _json(findings: tuple[Finding, ...], modes: list[str]) -> str:
    ready = {mode: healthy(_of(findings, mode)) for mode in modes}
    checks = [asdict(one) for one in findings]
    return json.dumps({"host": platform.node(), "ready": ready, "checks": checks}, indent=2)


def _table(findings: tuple[Finding, ...], modes: list[str]) -> str:
    blocks = []
    for mode in modes:
        found = _of(findings, mode)
        missing = sum(one.needed and not one.passed for one in found)
        head = f"{mode}: " + ("ready" if not missing else f"{missing} of {len(found)} checks fail")
        blocks.append("\n".join([head, *(line for one in found for line in _lines(one))]))
    return "\n\n".join(blocks)


def _lines(one: Finding) -> list[str]:
    line = f"  {_WORDS[one.passed, one.needed]:<6}{one.name:<14}{one.found}"
    return [line, f"{'':<22}→ {one.remedy}"] if one.remedy else [line]


def _of(findings: tuple[Finding, ...], mode: str) -> tuple[Finding, ...]:
    return tuple(one for one in findings if one.mode == mode)
