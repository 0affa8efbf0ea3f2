"""The gateway-agent interface: agent.proto and what protoc makes of it. See README.md."""
