from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class WorkerState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    WORKER_STATE_UNSPECIFIED: _ClassVar[WorkerState]
    WORKER_STATE_STARTING: _ClassVar[WorkerState]
    WORKER_STATE_READY: _ClassVar[WorkerState]
    WORKER_STATE_BUSY: _ClassVar[WorkerState]
    WORKER_STATE_PAUSED: _ClassVar[WorkerState]
    WORKER_STATE_EXITED: _ClassVar[WorkerState]
WORKER_STATE_UNSPECIFIED: WorkerState
WORKER_STATE_STARTING: WorkerState
WORKER_STATE_READY: WorkerState
WORKER_STATE_BUSY: WorkerState
WORKER_STATE_PAUSED: WorkerState
WORKER_STATE_EXITED: WorkerState

class FunctionSpec(_message.Message):
    __slots__ = ("name", "image", "handler", "runtime", "timeout_ms", "memory_mb", "environment", "cmd", "sandbox")
    class EnvironmentEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    NAME_FIELD_NUMBER: _ClassVar[int]
    IMAGE_FIELD_NUMBER: _ClassVar[int]
    HANDLER_FIELD_NUMBER: _ClassVar[int]
    RUNTIME_FIELD_NUMBER: _ClassVar[int]
    TIMEOUT_MS_FIELD_NUMBER: _ClassVar[int]
    MEMORY_MB_FIELD_NUMBER: _ClassVar[int]
    ENVIRONMENT_FIELD_NUMBER: _ClassVar[int]
    CMD_FIELD_NUMBER: _ClassVar[int]
    SANDBOX_FIELD_NUMBER: _ClassVar[int]
    name: str
    image: str
    handler: str
    runtime: str
    timeout_ms: int
    memory_mb: int
    environment: _containers.ScalarMap[str, str]
    cmd: _containers.RepeatedScalarFieldContainer[str]
    sandbox: str
    def __init__(self, name: _Optional[str] = ..., image: _Optional[str] = ..., handler: _Optional[str] = ..., runtime: _Optional[str] = ..., timeout_ms: _Optional[int] = ..., memory_mb: _Optional[int] = ..., environment: _Optional[_Mapping[str, str]] = ..., cmd: _Optional[_Iterable[str]] = ..., sandbox: _Optional[str] = ...) -> None: ...

class Worker(_message.Message):
    __slots__ = ("worker_id", "owner_id", "function", "image", "state", "address", "created_unix_ms", "exit_reason", "fingerprint", "init_ms")
    WORKER_ID_FIELD_NUMBER: _ClassVar[int]
    OWNER_ID_FIELD_NUMBER: _ClassVar[int]
    FUNCTION_FIELD_NUMBER: _ClassVar[int]
    IMAGE_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    ADDRESS_FIELD_NUMBER: _ClassVar[int]
    CREATED_UNIX_MS_FIELD_NUMBER: _ClassVar[int]
    EXIT_REASON_FIELD_NUMBER: _ClassVar[int]
    FINGERPRINT_FIELD_NUMBER: _ClassVar[int]
    INIT_MS_FIELD_NUMBER: _ClassVar[int]
    worker_id: str
    owner_id: str
    function: str
    image: str
    state: WorkerState
    address: str
    created_unix_ms: int
    exit_reason: str
    fingerprint: str
    init_ms: int
    def __init__(self, worker_id: _Optional[str] = ..., owner_id: _Optional[str] = ..., function: _Optional[str] = ..., image: _Optional[str] = ..., state: _Optional[_Union[WorkerState, str]] = ..., address: _Optional[str] = ..., created_unix_ms: _Optional[int] = ..., exit_reason: _Optional[str] = ..., fingerprint: _Optional[str] = ..., init_ms: _Optional[int] = ...) -> None: ...

class EnsureWorkerRequest(_message.Message):
    __slots__ = ("owner_id", "worker_id", "spec", "fingerprint")
    OWNER_ID_FIELD_NUMBER: _ClassVar[int]
    WORKER_ID_FIELD_NUMBER: _ClassVar[int]
    SPEC_FIELD_NUMBER: _ClassVar[int]
    FINGERPRINT_FIELD_NUMBER: _ClassVar[int]
    owner_id: str
    worker_id: str
    spec: FunctionSpec
    fingerprint: str
    def __init__(self, owner_id: _Optional[str] = ..., worker_id: _Optional[str] = ..., spec: _Optional[_Union[FunctionSpec, _Mapping]] = ..., fingerprint: _Optional[str] = ...) -> None: ...

class EnsureWorkerResponse(_message.Message):
    __slots__ = ("worker", "created")
    WORKER_FIELD_NUMBER: _ClassVar[int]
    CREATED_FIELD_NUMBER: _ClassVar[int]
    worker: Worker
    created: bool
    def __init__(self, worker: _Optional[_Union[Worker, _Mapping]] = ..., created: _Optional[bool] = ...) -> None: ...

class DestroyWorkerRequest(_message.Message):
    __slots__ = ("owner_id", "worker_id")
    OWNER_ID_FIELD_NUMBER: _ClassVar[int]
    WORKER_ID_FIELD_NUMBER: _ClassVar[int]
    owner_id: str
    worker_id: str
    def __init__(self, owner_id: _Optional[str] = ..., worker_id: _Optional[str] = ...) -> None: ...

class DestroyWorkerResponse(_message.Message):
    __slots__ = ("existed",)
    EXISTED_FIELD_NUMBER: _ClassVar[int]
    existed: bool
    def __init__(self, existed: _Optional[bool] = ...) -> None: ...

class PauseWorkerRequest(_message.Message):
    __slots__ = ("owner_id", "worker_id")
    OWNER_ID_FIELD_NUMBER: _ClassVar[int]
    WORKER_ID_FIELD_NUMBER: _ClassVar[int]
    owner_id: str
    worker_id: str
    def __init__(self, owner_id: _Optional[str] = ..., worker_id: _Optional[str] = ...) -> None: ...

class PauseWorkerResponse(_message.Message):
    __slots__ = ("worker",)
    WORKER_FIELD_NUMBER: _ClassVar[int]
    worker: Worker
    def __init__(self, worker: _Optional[_Union[Worker, _Mapping]] = ...) -> None: ...

class ResumeWorkerRequest(_message.Message):
    __slots__ = ("owner_id", "worker_id")
    OWNER_ID_FIELD_NUMBER: _ClassVar[int]
    WORKER_ID_FIELD_NUMBER: _ClassVar[int]
    owner_id: str
    worker_id: str
    def __init__(self, owner_id: _Optional[str] = ..., worker_id: _Optional[str] = ...) -> None: ...

class ResumeWorkerResponse(_message.Message):
    __slots__ = ("worker",)
    WORKER_FIELD_NUMBER: _ClassVar[int]
    worker: Worker
    def __init__(self, worker: _Optional[_Union[Worker, _Mapping]] = ...) -> None: ...

class ListWorkersRequest(_message.Message):
    __slots__ = ("owner_id", "function")
    OWNER_ID_FIELD_NUMBER: _ClassVar[int]
    FUNCTION_FIELD_NUMBER: _ClassVar[int]
    owner_id: str
    function: str
    def __init__(self, owner_id: _Optional[str] = ..., function: _Optional[str] = ...) -> None: ...

class ListWorkersResponse(_message.Message):
    __slots__ = ("workers",)
    WORKERS_FIELD_NUMBER: _ClassVar[int]
    workers: _containers.RepeatedCompositeFieldContainer[Worker]
    def __init__(self, workers: _Optional[_Iterable[_Union[Worker, _Mapping]]] = ...) -> None: ...

class EnsureImageRequest(_message.Message):
    __slots__ = ("owner_id", "image", "sandbox")
    OWNER_ID_FIELD_NUMBER: _ClassVar[int]
    IMAGE_FIELD_NUMBER: _ClassVar[int]
    SANDBOX_FIELD_NUMBER: _ClassVar[int]
    owner_id: str
    image: str
    sandbox: str
    def __init__(self, owner_id: _Optional[str] = ..., image: _Optional[str] = ..., sandbox: _Optional[str] = ...) -> None: ...

class EnsureImageResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetWorkerMetricsRequest(_message.Message):
    __slots__ = ("owner_id", "worker_id")
    OWNER_ID_FIELD_NUMBER: _ClassVar[int]
    WORKER_ID_FIELD_NUMBER: _ClassVar[int]
    owner_id: str
    worker_id: str
    def __init__(self, owner_id: _Optional[str] = ..., worker_id: _Optional[str] = ...) -> None: ...

class GetWorkerMetricsResponse(_message.Message):
    __slots__ = ("worker_id", "rss_bytes", "rss_peak_bytes", "cpu_seconds", "uptime_seconds", "invocations", "errors", "processes")
    WORKER_ID_FIELD_NUMBER: _ClassVar[int]
    RSS_BYTES_FIELD_NUMBER: _ClassVar[int]
    RSS_PEAK_BYTES_FIELD_NUMBER: _ClassVar[int]
    CPU_SECONDS_FIELD_NUMBER: _ClassVar[int]
    UPTIME_SECONDS_FIELD_NUMBER: _ClassVar[int]
    INVOCATIONS_FIELD_NUMBER: _ClassVar[int]
    ERRORS_FIELD_NUMBER: _ClassVar[int]
    PROCESSES_FIELD_NUMBER: _ClassVar[int]
    worker_id: str
    rss_bytes: int
    rss_peak_bytes: int
    cpu_seconds: float
    uptime_seconds: float
    invocations: int
    errors: int
    processes: int
    def __init__(self, worker_id: _Optional[str] = ..., rss_bytes: _Optional[int] = ..., rss_peak_bytes: _Optional[int] = ..., cpu_seconds: _Optional[float] = ..., uptime_seconds: _Optional[float] = ..., invocations: _Optional[int] = ..., errors: _Optional[int] = ..., processes: _Optional[int] = ...) -> None: ...

class HealthRequest(_message.Message):
    __slots__ = ("owner_id",)
    OWNER_ID_FIELD_NUMBER: _ClassVar[int]
    owner_id: str
    def __init__(self, owner_id: _Optional[str] = ...) -> None: ...

class HealthResponse(_message.Message):
    __slots__ = ("serving", "driver", "version", "workers", "problems")
    SERVING_FIELD_NUMBER: _ClassVar[int]
    DRIVER_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    WORKERS_FIELD_NUMBER: _ClassVar[int]
    PROBLEMS_FIELD_NUMBER: _ClassVar[int]
    serving: bool
    driver: str
    version: str
    workers: int
    problems: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, serving: _Optional[bool] = ..., driver: _Optional[str] = ..., version: _Optional[str] = ..., workers: _Optional[int] = ..., problems: _Optional[_Iterable[str]] = ...) -> None: ...
