"""Docker drivers over this host's engine; each test has a box of its own, and leaves nothing of it."""

import asyncio
import json
import secrets

import pytest
from artifact_contract.runtime_identity import RuntimeIdentity
from esb_agent.drivers.docker.driver import DockerDriver
from esb_agent.drivers.docker.settings import DockerConfig, PullPolicy
from esb_agent.model import FunctionSpec, Identity


class DockerBox:
    """Drivers of one box, one after the other, and short ways to use them."""

    def __init__(self, engine, images, state, http_call):
        self.engine, self.images, self.http_call = engine, images, http_call
        self.environment = f"test{secrets.token_hex(4)}"
        self.settings = {
            "state_dir": state,
            "identity": RuntimeIdentity(
                slug="esb",
                source="",
                environment=self.environment,
                given_network=f"esb-{self.environment}",
            ),
        }
        self.count = 0

    async def start(self, **more):
        self.driver = DockerDriver(DockerConfig(**{"pull": PullPolicy.NEVER, **self.settings, **more}))
        await self.driver.start()
        return await self.driver.recover()

    async def worker(self, image="", worker_id="", **spec):
        self.count += 1
        spec = {"name": "f", "image": image or self.images.wild, "timeout_ms": 5000, "memory_mb": 256, **spec}
        identity = Identity(owner_id="box", worker_id=worker_id or f"w{self.count}")
        return await self.driver.create(identity, FunctionSpec(**spec))

    async def tell(self, worker, **event):
        return await self.http_call(worker, event)

    def inspect(self, worker):
        return self.engine.inspect(f"esb-{self.environment}-{worker.function}-{worker.identity.worker_id}")

    def left(self):
        return self.engine.containers(self.environment)

    def log(self, function="f"):
        path = self.settings["state_dir"] / "logs" / f"{function}.log"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    async def logged(self, line, function="f"):
        """Wait until a line is in the log; returns its entry."""
        for _ in range(300):
            if found := [entry for entry in self.log(function) if entry["line"].startswith(line)]:
                return found[0]
            await asyncio.sleep(0.02)
        raise AssertionError(f"{line!r} is not in the log: {[entry['line'] for entry in self.log(function)]}")


@pytest.fixture
async def docker_box(engine, function_images, tmp_path, http_call):
    box = DockerBox(engine, function_images, tmp_path / "state", http_call)
    await box.start()
    try:
        yield box
    finally:
        await box.driver.close()
        for container in box.left():
            engine.remove(container.strip("/"))
        engine.remove_network(box.settings["identity"].network)


class CutSocket:
    """A way to the engine that a test can cut, as if the engine had gone."""

    def __init__(self, path, engine_path):
        self.path, self.engine_path = path, engine_path
        self.server, self.pairs = None, set()

    async def open(self):
        self.server = await asyncio.start_unix_server(self._serve, str(self.path))

    async def _serve(self, reader, writer):
        try:
            there, back = await asyncio.open_unix_connection(self.engine_path)
        except OSError:
            writer.close()
            return
        self.pairs |= {writer, back}
        await asyncio.gather(self._copy(reader, back), self._copy(there, writer))

    async def _copy(self, source, target):
        try:
            while data := await source.read(65536):
                target.write(data)
                await target.drain()
        except OSError:
            pass
        finally:
            target.close()

    async def cut(self):
        self.server.close()
        self.path.unlink(missing_ok=True)
        for writer in self.pairs:
            writer.transport.abort()
        self.pairs.clear()


@pytest.fixture
async def cut_socket(engine, tmp_path):
    socket = CutSocket(tmp_path / "e.sock", engine.path)
    await socket.open()
    yield socket
    await socket.cut()
