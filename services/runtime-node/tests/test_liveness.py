import importlib.util
import os
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest
from esb_node.launcher import RealLauncher
from esb_node.liveness import Liveness, answered
from esb_node.service import Phase, Service
from esb_node.specs import GrpcProbe, HttpProbe, ServiceSpec

SERVER = """
import asyncio, sys, time, grpc
async def main():
    server = grpc.aio.server()
    def check(request, context): pass
    async def answer(request, context): return b"\\x08\\x01"
    handler = grpc.unary_unary_rpc_method_handler(answer)
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler("grpc.health.v1.Health", {"Check": handler}),))
    server.add_insecure_port("unix:" + sys.argv[1])
    await server.start()
    print("up", flush=True)
    await asyncio.sleep(float(sys.argv[2]))
    time.sleep(600)
asyncio.run(main())
"""


def tick(liveness, until, seconds=20):
    deadline = time.monotonic() + seconds
    while not until():
        assert time.monotonic() < deadline
        liveness.hangs()
        time.sleep(0.01)


@pytest.fixture
def grpc_server(tmp_path):
    if importlib.util.find_spec("grpc") is None:
        pytest.skip("grpcio is not installed; it comes with esb-runtime-node[embedded]")
    started = []

    def start(hangs_after):
        path = tmp_path / "health.sock"
        argv = [sys.executable, "-c", SERVER, str(path), str(hangs_after)]
        process = subprocess.Popen(argv, stdout=subprocess.PIPE)
        started.append(process)
        assert process.stdout.readline() == b"up\n"
        return path

    yield start
    for process in started:
        process.kill()
        process.wait()
        process.stdout.close()


def test_a_grpc_server_that_works_is_alive(grpc_server):
    liveness = Liveness(
        GrpcProbe(grpc_server(600)), time.monotonic, every=0.0, answer_within=10.0, limit=1, failures=0
    )
    liveness.hangs()
    tick(liveness, lambda: liveness._socket is None)
    assert liveness.failures == 0
    liveness.close()


def test_a_grpc_server_whose_loop_is_stuck_hangs_though_it_takes_connections(grpc_server):
    path = grpc_server(0)
    time.sleep(0.2)
    assert RealLauncher().is_ready(GrpcProbe(path))
    liveness = Liveness(GrpcProbe(path), time.monotonic, every=0.0, answer_within=0.3, limit=2)
    tick(liveness, liveness.hangs)
    assert liveness.failures == 2
    liveness.close()


def test_settings_alone_are_no_answer():
    settings = b"\x00\x00\x00\x04\x00\x00\x00\x00\x00"
    headers = b"\x00\x00\x01\x01\x04\x00\x00\x00\x01\x88"
    assert not answered(GrpcProbe("x"), settings)
    assert not answered(GrpcProbe("x"), settings + headers[:5])
    assert answered(GrpcProbe("x"), settings + headers)


def test_an_http_server_answers_or_hangs():
    with socket.create_server(("127.0.0.1", 0)) as server:
        probe = HttpProbe(f"http://127.0.0.1:{server.getsockname()[1]}/health")

        def answer():
            connection, _ = server.accept()
            with connection:
                connection.recv(1000)
                connection.sendall(b"HTTP/1.1 503 no\r\n\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        liveness = Liveness(probe, time.monotonic, every=0.0, answer_within=10.0)
        liveness.hangs()
        tick(liveness, lambda: liveness._socket is None)
        thread.join()
        assert liveness.failures == 0
        stuck = Liveness(probe, time.monotonic, every=0.0, answer_within=0.1)
        tick(stuck, stuck.hangs)
        stuck.close()


class Hasty(RealLauncher):
    """Asks and gives up quickly."""

    def liveness(self, probe, clock):
        return Liveness(probe, clock, every=0.05, answer_within=0.2, limit=2)


def test_a_service_that_hangs_is_killed_and_started_again(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    spec = ServiceSpec(
        name="web",
        argv=(sys.executable, "-m", "http.server", "--bind", "127.0.0.1", str(port)),
        ready=HttpProbe(f"http://127.0.0.1:{port}/"),
        address="",
        log=tmp_path / "web.log",
        env=dict(os.environ),
    )
    told = []
    service = Service(spec, Hasty(), time.monotonic, told.append)
    service.start()

    def until(condition, seconds=20):
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, told
            service.tick()
            time.sleep(0.01)

    try:
        until(lambda: service.phase is Phase.READY)
        first = service.pid
        os.kill(first, signal.SIGSTOP)
        until(lambda: service.restarts == 1 and service.phase is Phase.READY)
        assert service.trouble == "hung: 2 health checks in a row got no answer"
        assert service.pid != first
    finally:
        while not service.stop():
            time.sleep(0.01)
