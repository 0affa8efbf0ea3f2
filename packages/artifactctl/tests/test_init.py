"""What the package offers, and what importing it costs."""

import subprocess
import sys
from importlib.metadata import version

import artifactctl
import pytest


def test_every_name_is_there():
    for name in artifactctl.__all__:
        assert getattr(artifactctl, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = artifactctl.nothing


def test_functions_are_functions_whatever_was_imported_before():
    code = """
import artifactctl.cli_apply, artifactctl.transaction, artifactctl.timeline, artifactctl.images.prepare
import artifactctl as a
functions = a.apply, a.merge, a.plan, a.history, a.rollback, a.status, a.validate_id, a.prepare_images
assert all(map(callable, functions))
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_importing_the_package_or_the_commands_imports_nothing_heavy():
    code = "import sys, artifactctl, artifactctl.cli\n"
    code += (
        "print([name for name in ('attrs', 'cattrs', 'ruamel', 'filelock', 'dotenv') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout == "[]\n"


def test_the_version_is_the_distributions():
    assert artifactctl.__version__ == version("artifactctl")
