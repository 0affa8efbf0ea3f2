import stat

import pytest
from esb_node import box as box_module
from esb_node import parts as parts_module
from esb_node.box import UpRequest, plan_box
from esb_node.box_state import read_state, write_state
from esb_node.errors import MissingPartsError, NodeError
from esb_node.files import make_private
from esb_node.parts import AGENT, DATA_PLANE, GATEWAY, require_parts

HOST = {
    "PATH": "/bin",
    "AWS_PROFILE": "work",
    "ESB_LEVEL": "x",
    "AWS_SESSION_TOKEN": "t",
    "ESB_OWNER_ID": "me",
    "HTTP_PROXY": "http://p",
}


@pytest.fixture
def plan(tmp_path):
    make_private(tmp_path / "box")
    return plan_box(UpRequest(tmp_path / "box"), HOST)


def service(plan, name):
    return next(spec for spec in plan.services if spec.name == name)


def test_the_order_is_data_plane_agent_gateway(plan):
    assert [spec.name for spec in plan.services] == [DATA_PLANE, AGENT, GATEWAY]


def test_functions_find_every_service_of_the_box_through_the_environment(plan):
    env = service(plan, GATEWAY).env
    assert env["AWS_ENDPOINT_URL_LAMBDA"] == plan.state.urls[GATEWAY]
    for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL_DYNAMODB"):
        assert env[name] == plan.state.urls[DATA_PLANE]
    assert env["AWS_REGION"] == env["AWS_DEFAULT_REGION"] == "us-east-1"
    assert plan.job.env["AWS_ENDPOINT_URL"] == plan.state.urls[DATA_PLANE]


def test_nothing_of_the_hosts_account_or_proxy_gets_in(plan):
    for env in (*(spec.env for spec in plan.services), plan.job.env):
        assert "AWS_PROFILE" not in env
        assert "AWS_SESSION_TOKEN" not in env
        assert env["NO_PROXY"] == "127.0.0.1,localhost"
        assert (env["PATH"], env["ESB_LEVEL"]) == ("/bin", "x")
    assert service(plan, GATEWAY).env["ESB_OWNER_ID"].startswith("box-")
    assert service(plan, GATEWAY).env["ESB_GATEWAY_STATE_DIR"] == plan.state.state_dir + "/gateway"


def test_no_keys_are_told_to_the_gateway_it_has_its_own_file(plan, tmp_path):
    env = service(plan, GATEWAY).env
    assert "AWS_ACCESS_KEY_ID" not in env
    assert env["ESB_GATEWAY_CREDENTIALS"] == plan.state.credentials_file
    assert plan.state.credentials_file == str(tmp_path / "box" / "gateway" / "credentials.yml")


def test_credentials_may_be_kept_elsewhere(tmp_path):
    make_private(tmp_path / "box")
    given = plan_box(UpRequest(tmp_path / "box"), HOST | {"ESB_GATEWAY_CREDENTIALS": "/etc/box.yml"})
    assert given.state.credentials_file == "/etc/box.yml"


def test_the_ports_of_the_last_box_are_taken_again(plan, tmp_path):
    write_state(plan.state)
    assert plan_box(UpRequest(tmp_path / "box"), HOST).state.ports == plan.state.ports


def test_directories_default_into_the_state_and_can_be_given(plan, tmp_path):
    assert plan.state.config_dir == str(tmp_path / "box" / "config")
    assert plan.state.images_dir == str(tmp_path / "box" / "images")
    given = plan_box(UpRequest(tmp_path / "box", tmp_path / "c", tmp_path / "i"), HOST)
    assert service(given, GATEWAY).env["ESB_CONFIG_DIR"] == str(tmp_path / "c")
    assert service(given, AGENT).env["ESB_IMAGE_LAYOUT"] == str(tmp_path / "i")


def test_a_socket_path_too_long_for_the_kernel_goes_to_a_short_private_place(tmp_path):
    deep = tmp_path / ("d" * 60) / ("e" * 60)
    make_private(deep)
    address = plan_box(UpRequest(deep), HOST).state.urls[AGENT].removeprefix("unix:")
    assert len(address) <= 107
    parent = box_module.Path(address).parent
    assert stat.S_IMODE(parent.stat().st_mode) == 0o700
    parent.chmod(0o755)
    with pytest.raises(NodeError, match="not a private directory"):
        plan_box(UpRequest(deep), HOST)
    parent.rmdir()


def test_missing_parts_are_named_with_the_command_that_installs_them(monkeypatch):
    monkeypatch.setattr(
        parts_module, "_MODULES", {"agent": {"esb_node": "itself", "no_such_module_x": "agent"}}
    )
    with pytest.raises(
        MissingPartsError, match=r"not installed: agent .*pip install 'esb-runtime-node\[embedded\]'"
    ):
        require_parts()


def test_a_state_file_reads_back_as_written_and_anything_else_as_nothing(plan, tmp_path):
    write_state(plan.state)
    assert read_state(tmp_path / "box") == plan.state
    for text in ("", "[]", "{}", '{"services": []}', '{"services": 3, "provisioner": {}}'):
        (tmp_path / "box" / "box.json").write_text(text)
        assert read_state(tmp_path / "box") is None
