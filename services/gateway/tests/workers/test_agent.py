from attrs import evolve
from esb_gateway.workers.agent import WorkerSpec

SPEC = WorkerSpec("f", "f:1", "app.handler", "python3.12", 3000, 128, (("A", "1"),))


def test_every_field_of_a_specification_counts_in_its_fingerprint():
    others = [
        evolve(SPEC, function="g"),
        evolve(SPEC, image="f:2"),
        evolve(SPEC, handler="app.other"),
        evolve(SPEC, runtime="python3.13"),
        evolve(SPEC, timeout_ms=1),
        evolve(SPEC, memory_mb=1),
        evolve(SPEC, environment=()),
        evolve(SPEC, sandbox="gvisor"),
    ]
    assert len({spec.fingerprint() for spec in [SPEC, evolve(SPEC), *others]}) == len(others) + 1
