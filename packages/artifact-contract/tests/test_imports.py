"""What importing costs: tools start often, and what they don't use must not be paid for."""

import subprocess
import sys

import pytest


def output_of(*lines: str) -> str:
    command = [sys.executable, "-W", "error", "-c", "\n".join(lines)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return done.stdout + done.stderr


@pytest.mark.parametrize("module", ["manifest", "verify", "codec", "loader", "runtime_config", "atomic"])
def test_importing_takes_neither_the_yaml_parser_nor_the_structurer_along(module: str) -> None:
    code = "print({'ruamel.yaml', 'cattrs'} & set(sys.modules))"
    assert output_of(f"import sys, artifact_contract.{module}", code) == "set()\n"


def test_reading_a_simple_file_doesnt_need_the_yaml_parser() -> None:
    code = "from artifact_contract.codec import read_yaml; read_yaml(b'a: 1', 'f')"
    assert output_of("import sys", code, "print('ruamel.yaml' in sys.modules)") == "False\n"


def test_nothing_is_printed_or_set_up_by_importing_everything() -> None:
    assert (
        output_of(
            "import importlib, logging, pkgutil, artifact_contract as package",
            "names = [found.name for found in pkgutil.iter_modules(package.__path__)]",
            "[importlib.import_module(f'artifact_contract.{name}') for name in names]",
            "print(len(names) > 20, logging.getLogger().handlers)",
        )
        == "True []\n"
    )
