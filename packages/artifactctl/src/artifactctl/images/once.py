"""Doing something once, whatever the number of threads that need it."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from concurrent.futures import Future
from threading import Lock
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class Once(Generic[Key, Value]):
    """Results by key; who comes second waits for the first one's, and a failure isn't kept."""

    def __init__(self) -> None:
        self._guard = Lock()
        self._results: dict[Key, Future[Value]] = {}

    def get(self, key: Key, make: Callable[[], Value]) -> Value:
        """The result for a key, made by the first caller; those who wait get its error too.

        Raises:
            Exception: what `make` raises.
        """
        with self._guard:
            known = self._results.get(key)
            if known is None:
                mine = self._results[key] = Future()
        if known is not None:
            return known.result()
        try:
            mine.set_result(make())
        except BaseException as error:
            with self._guard:
                del self._results[key]
            mine.set_exception(error)
            raise
        return mine.result()

    def set(self, key: Key, value: Value) -> None:
        """Know a result without making it, unless there is one or somebody is at it."""
        future: Future[Value] = Future()
        future.set_result(value)
        with self._guard:
            self._results.setdefault(key, future)
