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
        self._results: dict[Key, Value] = {}
        self._underway: dict[Key, Future[Value]] = {}

    def get(self, key: Key, make: Callable[[], Value]) -> Value:
        """The result for a key, made by the first caller; those who wait get its error too.

        Raises:
            Exception: what `make` raises.
        """
        with self._guard:
            if key in self._results:
                return self._results[key]
            others = self._underway.get(key)
            if others is None:
                mine = self._underway[key] = Future()
        return self._make(key, make, mine) if others is None else others.result()

    def set(self, key: Key, value: Value) -> None:
        """Know a result without making it, unless there is one or somebody is at it."""
        with self._guard:
            if key not in self._underway:
                self._results.setdefault(key, value)

    def _make(self, key: Key, make: Callable[[], Value], future: Future[Value]) -> Value:
        try:
            value = make()
        except BaseException as error:
            with self._guard:
                del self._underway[key]
            future.set_exception(error)
            raise
        with self._guard:
            self._results[key] = value
            del self._underway[key]
        future.set_result(value)
        return value
