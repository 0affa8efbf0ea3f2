"""Carries a trace id into a function, through its logs, and on to the functions it invokes.

    client context custom["X-Amzn-Trace-Id"]  ->  _X_AMZN_TRACE_ID for one invocation
    _X_AMZN_TRACE_ID                          ->  "traceId" of JSON log lines
    _X_AMZN_TRACE_ID                          ->  client context of boto3's Lambda invokes

Nothing is imported for it: the two modules concerned are changed when the function imports them. The client
context is the way where the trace header gets lost, as it does in the Runtime Interface Emulator.
"""

from __future__ import annotations

import os
import sys

__all__ = ["install", "root_of", "trace_of", "with_trace"]

KEY = "X-Amzn-Trace-Id"
VARIABLE = "_X_AMZN_TRACE_ID"
CLIENT_CONTEXT_LIMIT = 3583  # bytes of base64 text that the Invoke API takes
INVOKES = ("Invoke", "InvokeWithResponseStream")


def install() -> None:
    """Have `awslambdaric.bootstrap` and `botocore.handlers` changed once they are imported."""
    sys.meta_path.insert(
        0, _AfterImport({"awslambdaric.bootstrap": _change_runtime, "botocore.handlers": _change_sdk})
    )


def trace_of(client_context_json):
    """Return the trace header that a client context (JSON text) carries, or None.

    Whoever may invoke the function wrote it: what can't be in a header doesn't get into the environment.
    """
    if not client_context_json or KEY not in client_context_json:
        return None
    import json  # noqa: PLC0415 - not at the start of every function

    try:
        trace = json.loads(client_context_json)["custom"][KEY]
    except (ValueError, TypeError, KeyError, RecursionError):
        return None  # the runtime client reports a broken client context itself
    usable = isinstance(trace, str) and trace and trace.isascii() and trace.isprintable()
    return trace if usable else None


def with_trace(client_context, trace):
    """Return a client context (base64 of JSON, or None) with the trace added; one that has a trace keeps it.

    One that can't be read or would become too large comes back as it is.
    """
    import base64  # noqa: PLC0415 - not at the start of every function
    import json  # noqa: PLC0415 - not at the start of every function

    try:
        context = json.loads(base64.b64decode(client_context)) if client_context else {}
        custom = dict(context.get("custom") or {})
    except (ValueError, TypeError, AttributeError, RecursionError):
        return client_context
    if KEY in custom:
        return client_context
    custom[KEY] = trace
    encoded = base64.b64encode(json.dumps({**context, "custom": custom}).encode()).decode()
    return encoded if len(encoded) <= CLIENT_CONTEXT_LIMIT else client_context


def root_of(trace):
    """Return the root of a trace header (`Root=1-…;Parent=…`): what all its parts have in common."""
    for part in trace.split(";"):
        name, _, value = part.strip().partition("=")
        if name == "Root" and value:
            return value
    return trace


def _change_runtime(bootstrap):
    """Set the trace variable around each invocation, and name the trace in JSON log lines."""
    handle = bootstrap.handle_event_request
    # The position differs between versions of the runtime client, the name does not.
    position = handle.__code__.co_varnames.index("client_context_json")

    def handle_event_request(*args, **kwargs):
        trace = trace_of(args[position] if len(args) > position else kwargs.get("client_context_json"))
        if trace is None:
            return handle(*args, **kwargs)
        before = os.environ.get(VARIABLE)
        os.environ[VARIABLE] = trace
        try:
            return handle(*args, **kwargs)
        finally:
            _restore(before)

    bootstrap.handle_event_request = handle_event_request
    if os.environ.get("AWS_LAMBDA_LOG_FORMAT", "").upper() == "JSON":
        _name_trace_in_logs(bootstrap.LambdaLoggerFilter)


def _restore(before):
    if before is None:
        os.environ.pop(VARIABLE, None)
    else:
        os.environ[VARIABLE] = before


def _name_trace_in_logs(log_filter):
    """Give each record a `traceId`: the runtime client's JSON formatter writes all it finds on a record."""
    add_request_id = log_filter.filter

    def add_ids(self, record):
        trace = os.environ.get(VARIABLE)
        if trace and not hasattr(record, "traceId"):
            record.traceId = root_of(trace)
        return add_request_id(self, record)

    log_filter.filter = add_ids


def _change_sdk(handlers):
    """Add a handler to those that every SDK session starts with."""
    handlers.BUILTIN_HANDLERS.extend(
        (f"before-parameter-build.lambda.{operation}", _add_to_invoke) for operation in INVOKES
    )


def _add_to_invoke(params, **_):
    trace = os.environ.get(VARIABLE)
    if trace:
        client_context = with_trace(params.get("ClientContext"), trace)
        if client_context:
            params["ClientContext"] = client_context


class _AfterImport:
    """A module finder that lets the others find, and runs a change right after the module's own code."""

    def __init__(self, changes):
        self._changes = changes

    def find_spec(self, name, path=None, target=None):
        """Return the spec of a module to change, its loader wrapped; None for all others."""
        change = self._changes.pop(name, None)
        if change is None:
            return None
        for finder in sys.meta_path:
            find = getattr(finder, "find_spec", None)
            spec = find(name, path, target) if find is not None and finder is not self else None
            if spec is not None:
                if hasattr(spec.loader, "exec_module"):
                    spec.loader = _ChangingLoader(spec.loader, change)
                return spec
        return None


class _ChangingLoader:
    def __init__(self, loader, change):
        self._loader = loader
        self._change = change

    def __getattr__(self, name):
        return getattr(self._loader, name)

    def create_module(self, spec):
        return self._loader.create_module(spec)

    def exec_module(self, module):
        module.__loader__ = module.__spec__.loader = self._loader
        self._loader.exec_module(module)
        try:
            self._change(module)
        except Exception as error:  # noqa: BLE001 - the outermost point: the function works without traces
            sys.stderr.write(f"trace_bridge: {module.__name__}: {type(error).__name__}: {error}\n")
