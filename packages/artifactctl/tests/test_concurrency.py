"""Many writers and readers at once, as real processes: no mix, no loss."""

from artifact_contract.loader import load_runtime_config
from artifactctl.api import ApplyRequest
from artifactctl.generations import current_number, generation_numbers
from artifactctl.transaction import apply

WRITERS, APPLIES, READERS = 8, 25, 2


def test_two_hundred_applies_of_two_manifests_never_mix(box, states, children, tmp_path):
    manifests = [states.version(number).write() for number in "01"]
    stop = tmp_path / "stop"
    box.apply(states.version("0"))

    def write(writer):
        for turn in range(APPLIES):
            artifact = manifests[(writer + turn) % 2]
            apply(ApplyRequest(artifact=artifact, config_dir=box.dir, now=box.now, keep=2, lock_timeout=60))

    def read(reader):
        seen, loads = set(), 0
        while not stop.exists():
            loads += 1
            config = load_runtime_config(box.dir).config
            said = {name.removeprefix("only-in-") for name in config.functions.functions} - {"api"}
            said |= {config.functions.functions["api"].image.removeprefix("r/api:")}
            said |= {route.path.removeprefix("/") for route in config.routing}
            said |= {str(table["TableName"]).removeprefix("table-") for table in config.resources.dynamodb}
            said |= {image.function_name.removeprefix("only-in-") for image in config.images.images}
            assert len(said) == 1, said
            seen |= said
        assert seen == {"0", "1"}
        assert loads > 50

    readers = [children.start(lambda reader=reader: read(reader)) for reader in range(READERS)]
    writers = [children.start(lambda writer=writer: write(writer)) for writer in range(WRITERS)]
    assert [children.result_of(writer) for writer in writers] == [0] * WRITERS
    stop.touch()
    assert [children.result_of(reader) for reader in readers] == [0] * READERS
    assert states.what_it_says() in {"0", "1"}
    assert not states.leftovers()
    numbers = generation_numbers(box.dir)
    assert numbers == tuple(range(numbers[-1] - 2, numbers[-1] + 1))
    assert current_number(box.dir) == numbers[-1] > 10


def test_concurrent_first_applies_of_different_projects_lose_nothing(box, build, children):
    projects = [f"project-{number}" for number in range(6)]
    manifests = {name: build(name).entry(functions=[f"{name}-api"]).write() for name in projects}

    def first(name):
        apply(ApplyRequest(artifact=manifests[name], config_dir=box.dir, now=box.now))

    started = [children.start(lambda name=name: first(name)) for name in projects]
    assert [children.result_of(child) for child in started] == [0] * 6
    assert set(box.functions()) == {f"{name}-api" for name in projects}
