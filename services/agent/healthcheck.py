"""Does this container's agent answer on its socket, and say it serves? Exit code 0 when it does."""

import os
import sys

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

with grpc.insecure_channel(os.environ["ESB_AGENT_ADDRESS"]) as channel:
    request = health_pb2.HealthCheckRequest(service="esb.agent.v1.Agent")
    answer = health_pb2_grpc.HealthStub(channel).Check(request, timeout=4)
sys.exit(answer.status != health_pb2.HealthCheckResponse.SERVING)
