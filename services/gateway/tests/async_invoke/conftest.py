import pytest
from esb_gateway.async_invoke.event_store import open_store


@pytest.fixture
def store(tmp_path):
    opened = open_store(tmp_path)
    yield opened
    opened.close()
