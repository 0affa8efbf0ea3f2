"""containerd's gRPC services: their messages, and calls of them.

The descriptors live in a pool of their own, so that nothing else here that speaks to containerd
clashes with them. They are what `scripts/generate_stubs.py` makes of the .proto files beside this one.
"""

from functools import cache
from importlib.resources import files
from typing import Any

from google.protobuf import any_pb2, descriptor_pb2, empty_pb2, field_mask_pb2, timestamp_pb2
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass

_SERVICES = "containerd.services"


@cache
def _pool() -> DescriptorPool:
    pool = DescriptorPool()
    for module in (any_pb2, empty_pb2, field_mask_pb2, timestamp_pb2):
        pool.AddSerializedFile(module.DESCRIPTOR.serialized_pb)
    data = files(__package__).joinpath("containerd.binpb").read_bytes()
    waiting = {one.name: one for one in descriptor_pb2.FileDescriptorSet.FromString(data).file}

    def add(name: str) -> None:
        """What it imports comes first."""
        if one := waiting.pop(name, None):
            for other in one.dependency:
                add(other)
            pool.AddSerializedFile(one.SerializeToString())

    for name in list(waiting):
        add(name)
    return pool


@cache
def message(name: str) -> Any:
    """The class of a message by its full name, as `containerd.types.Mount`. Raises KeyError."""
    return GetMessageClass(_pool().FindMessageTypeByName(name))


@cache
def method(name: str) -> MethodDescriptor:
    """A method by `service.Method`, as `tasks.Create`. Raises KeyError."""
    service, _, called = name.partition(".")
    found = _pool().FindServiceByName(f"{_SERVICES}.{service}.v1.{service.capitalize()}")
    return found.methods_by_name[called]


def envelope(type_name: str, value: bytes) -> Any:
    """An `Any` that holds `value` under this name: containerd's own have no host before it."""
    return message("google.protobuf.Any")(type_url=type_name, value=value)


def unfold(any_message: Any) -> Any:
    """The message in an `Any`, of a type known here. Raises KeyError."""
    return message(any_message.type_url.rpartition("/")[2]).FromString(any_message.value)
