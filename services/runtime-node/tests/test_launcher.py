import http.server
import socket
import threading

import pytest
from esb_node.launcher import RealLauncher
from esb_node.specs import HttpProbe, SocketProbe


@pytest.fixture
def server():
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(int(self.path[1:]))
            self.end_headers()

        def log_message(self, *_):
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as made:
        thread = threading.Thread(target=made.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{made.server_port}"
        made.shutdown()
        thread.join()


@pytest.mark.parametrize(("status", "ready"), [(200, True), (404, True), (500, False), (503, False)])
def test_any_answer_but_a_server_error_is_ready(server, status, ready):
    assert RealLauncher().is_ready(HttpProbe(f"{server}/{status}")) is ready


def test_nobody_listening_is_not_ready(tmp_path):
    assert RealLauncher().is_ready(HttpProbe("http://127.0.0.1:1/")) is False
    assert RealLauncher().is_ready(SocketProbe(tmp_path / "none.sock")) is False


def test_a_socket_left_behind_is_not_ready_and_one_that_listens_is(tmp_path):
    path = tmp_path / "a.sock"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        assert RealLauncher().is_ready(SocketProbe(path)) is False
        server.listen()
        assert RealLauncher().is_ready(SocketProbe(path)) is True
    assert RealLauncher().is_ready(SocketProbe(path)) is False


def test_what_does_not_speak_http_is_not_ready():
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer():
            client, _ = server.accept()
            client.sendall(b"no such protocol\r\n\r\n")
            client.close()

        thread = threading.Thread(target=answer)
        thread.start()
        assert RealLauncher().is_ready(HttpProbe(f"http://127.0.0.1:{server.getsockname()[1]}/")) is False
        thread.join()
