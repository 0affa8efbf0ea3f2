"""The interface as its users see it."""

from esb_agent_api import agent_pb2, agent_pb2_grpc

METHODS = agent_pb2.DESCRIPTOR.services_by_name["Agent"].methods


def test_every_request_names_its_owner():
    assert [m.name for m in METHODS if "owner_id" not in m.input_type.fields_by_name] == []


def test_stub_and_servicer_have_every_method():
    for method in METHODS:
        assert hasattr(agent_pb2_grpc.AgentServicer, method.name)


def test_a_worker_survives_the_wire():
    worker = agent_pb2.Worker(
        worker_id="hello-1",
        owner_id="box",
        function="héllo",
        state=agent_pb2.WORKER_STATE_PAUSED,
        address="unix:/tmp/w.sock",
        created_unix_ms=1_700_000_000_000,
    )
    assert agent_pb2.Worker.FromString(worker.SerializeToString()) == worker


def test_an_unset_state_is_none_of_the_real_ones():
    assert agent_pb2.Worker().state == agent_pb2.WORKER_STATE_UNSPECIFIED
