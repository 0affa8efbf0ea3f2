"""The table of wrong inputs: what each is, how it comes about, the command that meets it, the promised exit code.

Every case starts from the same small, valid project, artifact, image layout and applied box; `spoil` breaks
exactly one thing. `bad_input` runs them.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

MANIFEST = "artifact/artifact.yml"
FUNCTIONS = "artifact/template/runtime-config/functions.yml"
ROUTING = "artifact/template/runtime-config/routing.yml"
VALIDATE = f"artifactctl validate-id --artifact {MANIFEST}"
APPLY = f"artifactctl apply --artifact {MANIFEST} --out config"
PREPARE = f"artifactctl prepare-images --artifact {MANIFEST} --target oci-layout:images"
REGISTRY = PREPARE.replace("oci-layout:images", "registry")
GENERATE = "esb artifact generate"
AGENT_FILES = "ESB_AGENT_DRIVER=process ESB_AGENT_STATE_DIR=/var/lib/esb ESB_IMAGE_LAYOUT=/var/lib/images"
AGENT = f"{AGENT_FILES} ESB_AGENT_ADDRESS=tcp:127.0.0.1:7443"
TLS_FILES = "ESB_AGENT_TLS_CERT=/none/agent.crt ESB_AGENT_TLS_KEY=/none/agent.key ESB_AGENT_TLS_CA=ca.crt"
TLS_OFF = "ESB_AGENT_TLS=off-trusted-network"
FUNCTION = "/2015-03-31/functions/{}/invocations"

TEMPLATE = """\
AWSTemplateFormatVersion: "2010-09-09"
Transform: AWS::Serverless-2016-10-31
Parameters:
  Stage:
    Type: String
    Default: dev
Resources:
  Hello:
    Type: AWS::Serverless::Function
    Properties:
      Runtime: python3.11
      Handler: app.handler
      CodeUri: src/
      Environment:
        Variables:
          STAGE: !Ref Stage
      Events:
        Get:
          Type: Api
          Properties:
            Path: /hello
            Method: get
"""


@dataclass(frozen=True)
class Case:
    """One wrong input: what it is, how it comes about, the command that meets it, the exit code promised."""

    group: str
    what: str
    command: str
    code: int  # exit code, or HTTP status in the group Requests
    spoil: Callable[[Path], None] = lambda _: None
    port: int | None = None  # a port of this host that something else holds while the command runs


def replace(file: str, old: str, new: str) -> Callable[[Path], None]:
    """Spoil by replacing a text that must be there."""

    def spoil(here: Path) -> None:
        text = (here / file).read_text()
        if old not in text:
            raise LookupError(f"{file} holds no {old!r}")
        (here / file).write_text(text.replace(old, new, 1))

    return spoil


def write(file: str, content: str | bytes) -> Callable[[Path], None]:
    """Spoil by giving a file this content."""

    def spoil(here: Path) -> None:
        (here / file).parent.mkdir(parents=True, exist_ok=True)
        (here / file).write_bytes(content.encode() if isinstance(content, str) else content)

    return spoil


def remove(path: str) -> Callable[[Path], None]:
    """Spoil by removing a file or a directory."""

    def spoil(here: Path) -> None:
        target = here / path
        if target.is_dir():
            shutil.rmtree(target)
        else:
            target.unlink()

    return spoil


def directory(path: str) -> Callable[[Path], None]:
    """Spoil by putting a directory where a file should be."""

    def spoil(here: Path) -> None:
        (here / path).unlink(missing_ok=True)
        (here / path).mkdir(parents=True)

    return spoil


def link(path: str, target: str) -> Callable[[Path], None]:
    """Spoil by adding a symbolic link."""
    return lambda here: (here / path).symlink_to(target)


def require_secret(content: str | None) -> Callable[[Path], None]:
    """Spoil by requiring the secret API_TOKEN, and writing this secrets file."""

    def spoil(here: Path) -> None:
        replace(
            MANIFEST, "    source_template:", "    required_secret_env: [API_TOKEN]\n    source_template:"
        )(here)
        if content is not None:
            (here / "secrets.env").write_text(content)

    return spoil


def blob(change: Callable[[Path], None]) -> Callable[[Path], None]:
    """Spoil one blob of the image layout."""
    return lambda here: change(min((here / "images" / "blobs" / "sha256").iterdir()))


def template(old: str, new: str) -> Callable[[Path], None]:
    """Spoil the template by replacing a text."""
    return replace("template.yaml", old, new)


def metadata(value: str) -> Callable[[Path], None]:
    """Spoil the template by giving its function this metadata."""
    return template("    Properties:\n", f"    Metadata: {value}\n    Properties:\n")


def append(file: Path, text: str) -> None:
    """Add text to a file."""
    file.write_text(file.read_text() + text)


RESOURCE_QUEUE = "Resources:\n  Jobs:\n    Type: AWS::SQS::Queue\n"

CASES = [
    # arguments
    Case("Arguments", "no command at all", "artifactctl", 2),
    Case("Arguments", "a command that does not exist", "artifactctl aply", 2),
    Case("Arguments", "an option that does not exist", f"{APPLY} --force", 2),
    Case("Arguments", "a required option is missing", f"artifactctl apply --artifact {MANIFEST}", 2),
    Case("Arguments", "an output form that does not exist", f"{VALIDATE} --output xml", 2),
    Case("Arguments", "a target that does not exist", PREPARE.replace("oci-layout:images", "floppy:a"), 2),
    Case("Arguments", "no target, for an artifact that has no registry", PREPARE.replace(" --target oci-layout:images", ""), 2),
    Case("Arguments", "an engine to build with, for a target without one", f"{PREPARE} --builder buildx", 2),
    Case("Arguments", "an override without a reference", f"{REGISTRY} --image-override debian:12=", 2),
    Case("Arguments", "an image overridden twice", f"{REGISTRY} --image-override a=b --image-override a=c", 2),
    Case("Arguments", "an override, for a target without images from elsewhere", f"{PREPARE} --image-override a=b", 2),
    Case("Arguments", "a platform that is none", f"{PREPARE} --platform amd64", 2),
    Case("Arguments", "several platforms, for a target that holds one", f"{PREPARE} --platform linux/amd64,linux/arm64", 2),
    Case("Arguments", "a parameter without a value", f"{GENERATE} --parameter Stage", 2),
    Case("Arguments", "a mode that does not exist", f"{GENERATE} --mode lambda", 2),
    Case("Arguments", "generating outside a project", GENERATE, 2, remove("esb.toml")),
    Case("Arguments", "a project file that is no TOML", GENERATE, 2, write("esb.toml", "[project\n")),
    Case("Arguments", "a generation that does not exist", "artifactctl rollback --to 99 --out config", 2),
    # manifests
    Case("Manifest", "no such file", "artifactctl validate-id --artifact nowhere.yml", 3),
    Case("Manifest", "a directory where the file should be", VALIDATE, 3, directory(MANIFEST)),
    Case("Manifest", "an empty file", VALIDATE, 3, write(MANIFEST, "")),
    Case("Manifest", "not YAML", VALIDATE, 3, write(MANIFEST, "project: [orders\n")),
    Case("Manifest", "a tab as indentation", VALIDATE, 3, write(MANIFEST, "artifacts:\n\t- id: x\n")),
    Case("Manifest", "not UTF-8", VALIDATE, 3, write(MANIFEST, b"project: caf\xe9\n")),
    Case("Manifest", "a key written twice", VALIDATE, 3, replace(MANIFEST, "env:", "project: again\nenv:")),
    Case("Manifest", "required fields missing", VALIDATE, 3, write(MANIFEST, 'schema_version: "1"\nproject: p\n')),
    Case("Manifest", "an unknown schema version", VALIDATE, 3, replace(MANIFEST, "schema_version: \"1\"", "schema_version: \"7\"")),
    Case("Manifest", "an unknown mode", VALIDATE, 3, replace(MANIFEST, "mode: process", "mode: swarm")),
    Case("Manifest", "an id that is not the entry's", VALIDATE, 3, replace(MANIFEST, "path: template.yaml", "path: other.yaml")),
    Case("Manifest", "an unknown key, with --strict", f"{VALIDATE} --strict", 3, replace(MANIFEST, "env:", "colour: red\nenv:")),
    Case("Manifest", "a YAML bomb", VALIDATE, 3, write(MANIFEST, "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
        f"{chr(98 + i)}: &{chr(98 + i)} [{', '.join(['*' + chr(97 + i)] * 9)}]\n" for i in range(9)))),
    # artifact
    Case("Artifact", "an artifact root that is not there", APPLY, 3, remove("artifact/template")),
    Case("Artifact", "a runtime config directory outside its root", APPLY, 3,
         replace(MANIFEST, "runtime_config_dir: runtime-config", "runtime_config_dir: ../runtime-config")),
    Case("Artifact", "a link that leaves the artifact", APPLY, 3, link("artifact/template/passwd", "/etc/passwd")),
    Case("Artifact", "functions.yml missing", APPLY, 3, remove(FUNCTIONS)),
    Case("Artifact", "functions.yml without its functions", APPLY, 3, write(FUNCTIONS, "functions: [Hello]\n")),
    Case("Artifact", "a function without an image", APPLY, 3, replace(FUNCTIONS, "    image:", "    picture:")),
    Case("Artifact", "a timeout that is no number", APPLY, 3, replace(FUNCTIONS, "timeout: 3", "timeout: soon")),
    Case("Artifact", "a sandbox that does not exist", APPLY, 3, replace(FUNCTIONS, "timeout: 3", "timeout: 3\n    sandbox: jail")),
    Case("Artifact", "a sandbox, misspelt", APPLY, 3, replace(FUNCTIONS, "timeout: 3", "timeout: 3\n    SandBox: gvisor")),
    Case("Artifact", "a sandbox without a value", APPLY, 3, replace(FUNCTIONS, "timeout: 3", "timeout: 3\n    sandbox:")),
    Case("Artifact", "a sandbox for all functions", APPLY, 3, replace(FUNCTIONS, "functions:", "defaults: {sandbox: gvisor}\nfunctions:")),
    Case("Artifact", "a route without a function", APPLY, 3, replace(ROUTING, "function:", "target:")),
    Case("Artifact", "a file changed after generating, with --strict", f"{APPLY} --strict", 3,
         replace("artifact/template/functions/Hello/src/app.py", "hello", "goodbye")),
    Case("Artifact", "runtime hooks changed after generating, with --strict", f"{APPLY} --strict", 3,
         write("artifact/template/runtime-base/runtime-hooks/python/sitecustomize/site-packages/sitecustomize.py", "")),
    # secrets
    Case("Secrets", "secrets required, no file given", APPLY, 3, require_secret(None)),
    Case("Secrets", "a secrets file that is not there", f"{APPLY} --secret-env secrets.env", 3, require_secret(None)),
    Case("Secrets", "a name missing in the secrets file", f"{APPLY} --secret-env secrets.env", 3, require_secret("OTHER=1\n")),
    Case("Secrets", "an empty value", f"{APPLY} --secret-env secrets.env", 3, require_secret("API_TOKEN=\n")),
    Case("Secrets", "a line that is no assignment", f"{APPLY} --secret-env secrets.env", 3,
         require_secret("API_TOKEN=s3cr3t\n= what\n")),
    # templates
    Case("Template", "no such template", f"{GENERATE} -t nowhere.yaml", 3),
    Case("Template", "not YAML", GENERATE, 3, template("Resources:", "Resources: [")),
    Case("Template", "a logical id written twice", GENERATE, 3, write("template.yaml", TEMPLATE + TEMPLATE[TEMPLATE.index("  Hello:"):])),
    Case("Template", "a reference to nothing", GENERATE, 3, template("!Ref Stage", "!Ref Stagee")),
    Case("Template", "a code directory that is not there", GENERATE, 3, template("CodeUri: src/", "CodeUri: source/")),
    Case("Template", "a function without a handler", GENERATE, 3, template("      Handler: app.handler\n", "")),
    Case("Template", "a parameter without a value", GENERATE, 3, template("    Default: dev\n", "")),
    Case("Template", "a parameter the template does not have", f"{GENERATE} --parameter Stagee=x", 3),
    Case("Template", "a resource this box does not have, with --strict", f"{GENERATE} --strict", 3, template("Resources:\n", RESOURCE_QUEUE)),
    Case("Template", "a schedule that is none", GENERATE, 3, template("Type: Api\n          Properties:\n            Path: /hello\n            Method: get",
         "Type: Schedule\n          Properties:\n            Schedule: every day")),
    Case("Template", "a sandbox that does not exist", GENERATE, 3, metadata("{esb: {Sandbox: jail}}")),
    Case("Template", "a sandbox, misspelt", GENERATE, 3, metadata("{esb: {SandBox: gvisor}}")),
    Case("Template", "an unknown key beside the sandbox", GENERATE, 3, metadata("{esb: {Sandbox: gvisor, Colour: red}}")),
    Case("Template", "the box's own metadata, misspelt", GENERATE, 3, metadata("{ESB: {Sandbox: gvisor}}")),
    # images
    Case("Images", "a step that needs execution", PREPARE, 3,
         lambda here: append(here / "artifact/template/functions/Hello/Dockerfile", "RUN pip install x\n")),
    Case("Images", "a source that is not there", PREPARE, 3,
         lambda here: append(here / "artifact/template/functions/Hello/Dockerfile", "COPY nothing/ /opt/\n")),
    Case("Images", "a source outside the artifact", PREPARE, 3,
         lambda here: append(here / "artifact/template/functions/Hello/Dockerfile", "COPY ../../secrets /opt/\n")),
    Case("Images", "no Dockerfile", PREPARE, 3, remove("artifact/template/functions/Hello/Dockerfile")),
    Case("Images", "no runtime base", PREPARE, 3, remove("artifact/template/runtime-base/runtime-hooks/python/docker/Dockerfile")),
    Case("Images", "a layout whose index is garbage", PREPARE, 4, write("images/index.json", "{")),
    Case("Images", "a layout of another version", PREPARE, 4, write("images/oci-layout", '{"imageLayoutVersion": "9.9"}')),
    Case("Images", "a file where the layout should be", PREPARE.replace("oci-layout:images", "oci-layout:esb.toml"), 4),
    # box
    Case("Box", "a file where CONFIG_DIR should be", APPLY.replace("--out config", "--out esb.toml"), 4),
    Case("Box", "no generation to roll back to", "artifactctl rollback --out config", 2),
    Case("Box", "the gateway's port is in use", "esb-node up --state box --gateway-port {port}", 4, port=1),
    Case("Box", "the data plane's port is in use", "esb-node up --state box --data-port {port}", 4, port=1),
    Case("Box", "a file where the box's state should be", "esb-node up --state esb.toml", 2),
    Case("Box", "a port that is none", "esb-node up --state box --gateway-port 99999", 2),
    Case("Box", "a service asked to listen where something else does", "python -m esb_gateway", 4, port=1),
    Case("Box", "logs of a service that does not exist", "esb-node logs --state box kettle", 2),
    Case("Box", "the agent with a driver that does not exist", "python -m esb_agent", 2),
    Case("Box", "the agent on TCP without certificates", f"{AGENT} python -m esb_agent", 2),
    Case("Box", "the agent on TCP, TLS switched off by another word", f"{AGENT} ESB_AGENT_TLS=off python -m esb_agent", 2),
    Case("Box", "the agent on TCP, a certificate's path not absolute", f"{AGENT} {TLS_FILES} python -m esb_agent", 2),
    Case("Box", "an agent's address that is none", f"{AGENT_FILES} ESB_AGENT_ADDRESS=tcp:7443 python -m esb_agent", 2),
    Case("Box", "a log store's address that is none", f"{AGENT} {TLS_OFF} ESB_LOG_SHIP_URL=logs:9428 python -m esb_agent", 2),
    Case("Box", "the gateway to an agent on TCP without certificates", "ESB_AGENT_ADDRESS=tcp:127.0.0.1:7443 python -m esb_gateway", 2),
    Case("Box", "certificates that are not there yet, renewed", "esb-node certs renew --dir certs", 4),
    Case("Box", "an owner no certificate can name", f"esb-node certs init --dir certs --owner {'o' * 65}", 4),
    # requests to a gateway whose agent was stopped
    Case("Requests", "a call while the agent is stopped", f"POST {FUNCTION.format('Hello')} {{}}", 500),
    Case("Requests", "a route while the agent is stopped", "GET /hello", 503),
    Case("Requests", "a function that does not exist", f"POST {FUNCTION.format('Nobody')} {{}}", 404),
    Case("Requests", "a function name that cannot be one", f"POST {FUNCTION.format('No%20body')} {{}}", 400),
    Case("Requests", "a body that is not JSON", f"POST {FUNCTION.format('Hello')} {{", 400),
    Case("Requests", "a path that no route has", "GET /nowhere", 403),
]  # fmt: skip
