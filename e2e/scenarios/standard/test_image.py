"""A function that is a container image of its own: PackageType Image."""

from __future__ import annotations

from typing import Any

import pytest

pytestmark = pytest.mark.needs("image-functions")


def test_it_runs_what_the_image_has_with_what_the_template_says(invoke: Any) -> None:
    said = invoke("greeter", name="e2e")
    assert (said["greeting"], said["made_by"], said["template"]) == ("hello e2e", "greeter", "yes")


def test_it_has_the_hooks_of_all_functions(invoke: Any) -> None:
    said = invoke("greeter", name="e2e")
    assert "sitecustomize" in said["hooks"]
    assert said["trace"].startswith("Root=1-")


def test_functions_call_it(invoke: Any) -> None:
    said = invoke("caller", function="greeter", payload={"name": "caller"})
    assert said["payload"]["greeting"] == "hello caller"
