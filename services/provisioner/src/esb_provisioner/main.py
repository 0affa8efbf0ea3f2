"""Entry point: read the environment, load the config, provision, say what happened (contract §9, §12).

CONFIG_DIR ─load▶ resources ─provision▶ results ─report▶ stdout, exit code
"""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import click
import structlog
from artifact_contract.errors import ArtifactError
from artifact_contract.loader import load_runtime_config
from artifact_contract.runtime_config import ResourcesConfig

from esb_provisioner import report, settings
from esb_provisioner.aws import DynamoTables, S3Buckets, connect
from esb_provisioner.errors import EndpointError, StoreUnreachableError
from esb_provisioner.provision import Result, provision_buckets, provision_tables
from esb_provisioner.retry import Patience

log = structlog.get_logger("esb_provisioner")


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--config-dir",
    type=click.Path(path_type=Path, file_okay=False),
    envvar="ESB_CONFIG_DIR",
    show_envvar=True,
    required=True,
    help="The directory that apply writes.",
)
@click.option(
    "--wait",
    "seconds",
    type=click.FloatRange(min=0),
    default=30.0,
    show_default=True,
    help="Seconds to keep trying while a store does not answer.",
)
@click.option("--output", type=click.Choice(["text", "json"]), default="text", show_default=True)
def command(config_dir: Path, seconds: float, output: str) -> None:
    """Create the DynamoDB tables and S3 buckets that the applied config names.

    Running it again changes nothing; nothing is ever deleted. Stores are found through
    AWS_ENDPOINT_URL_DYNAMODB, AWS_ENDPOINT_URL_S3 or AWS_ENDPOINT_URL.

    Exit code: 0 done, 2 usage, 3 the config was rejected, 4 a store failed.
    """
    _log_to_stderr()
    patience = Patience(seconds, time.monotonic, time.sleep, _notice)
    try:
        loaded = load_runtime_config(config_dir)
        for warning in loaded.warnings:
            log.warning(str(warning))
        results = _provision(loaded.config.resources, os.environ, patience)
    except ArtifactError as error:
        _fail(str(error), report.REJECTED)
    except EndpointError as error:
        raise click.UsageError(str(error)) from error
    except OSError as error:
        _fail(f"{config_dir}: {error.strerror or error}", report.WORLD_FAILED)
    else:
        click.echo(
            report.as_json(results, loaded.generation) if output == "json" else report.as_text(results)
        )
        sys.exit(report.exit_code(results))


def main() -> None:
    """Run the command."""
    command()


def _provision(
    resources: ResourcesConfig, variables: Mapping[str, str], patience: Patience
) -> tuple[Result, ...]:
    """Tables, then buckets; a store that the config has no use for is not even looked up."""
    account = settings.account(variables)
    results: tuple[Result, ...] = ()
    if resources.dynamodb:
        client = connect("dynamodb", account, settings.endpoint(variables, "dynamodb"))
        results += provision_tables(resources.dynamodb, DynamoTables(client, time.sleep), patience)
    if resources.s3:
        client = connect("s3", account, settings.endpoint(variables, "s3"))
        results += provision_buckets(resources.s3, S3Buckets(client, account.region), patience)
    return results


def _notice(error: StoreUnreachableError, pause: float) -> None:
    log.info("store unreachable, trying again", error=str(error), pause_seconds=round(pause, 1))


def _fail(message: str, code: int) -> None:
    for line in message.splitlines():
        click.echo(f"{click.style('error:', fg='red')} {line}", err=True)
    sys.exit(code)


def _log_to_stderr() -> None:
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(file=sys.stderr),
    )
