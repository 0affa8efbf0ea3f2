import os

import pytest


@pytest.fixture(scope="session")
def moto_url():
    """A real HTTP server that speaks DynamoDB and S3, in this process."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def box_env(moto_url):
    """The environment a box gives the provisioner, its stores emptied; nothing of this host's AWS setup."""
    import urllib.request

    urllib.request.urlopen(urllib.request.Request(f"{moto_url}/moto-api/reset", method="POST")).close()
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "ESB_"))}
    return clean | {
        "AWS_ENDPOINT_URL": moto_url,
        "AWS_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    }


@pytest.fixture
def patience():
    """Patience that never waits."""
    from esb_provisioner.retry import Patience

    return Patience(0.0, lambda: 0.0, lambda _: None, lambda *_: None)
