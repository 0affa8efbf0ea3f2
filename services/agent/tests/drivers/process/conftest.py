"""The log of one worker, over a real file."""

import attrs
import pytest
from esb_agent.drivers.log_files import LogFile
from esb_agent.drivers.process.call_log import CallLog

MIB = 1024 * 1024


@attrs.define
class Measures:
    """What a worker would be measured to use."""

    peak_bytes: int = 70 * MIB
    init_seconds: float = 0.25


@pytest.fixture
def measures():
    return Measures()


@pytest.fixture
def call_log(tmp_path, measures):
    file = LogFile(tmp_path / "f.log", 10_000_000, 2)
    yield CallLog(
        file,
        "w1",
        128,
        peak_bytes=lambda: measures.peak_bytes,
        init_seconds=lambda: measures.init_seconds,
    )
    file.close()
