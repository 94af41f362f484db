"""Strategies that misbehave before a run begins: while they are made, checked, or asked what the server must know."""

from __future__ import annotations

import ctypes
import os
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
from msgspec import Meta

from aurea_engine import Arrivals, CostModel, Distribution, Job, Problem, Queue, Scheduler, SpecError
from aurea_engine.costs import Component, Flat, Jobs


class Sullen(Exception):
    """It does not print, and neither does the name of its class."""

    def __str__(self) -> str:
        raise SystemExit(9)


def _recurse() -> None:
    _recurse()


def _raise(error: BaseException) -> None:
    raise error


def _spin() -> None:
    while True:
        pass


DEEDS: dict[str, Callable[[], Any]] = {
    "raise": lambda: _raise(LookupError("a secret of the strategy")),
    "refuse": lambda: _raise(SpecError([Problem("how", "is not to my taste")])),
    "refuse without a reason": lambda: _raise(SpecError([])),
    "refuse in no text": lambda: _raise(SpecError([Problem(7, b"\xff", object())])),  # type: ignore[arg-type]
    "do not print": lambda: _raise(Sullen()),
    "interrupt": lambda: _raise(KeyboardInterrupt()),
    "generator exit": lambda: _raise(GeneratorExit()),
    "sys.exit": lambda: sys.exit(0),
    "os._exit": lambda: os._exit(0),
    "abort": os.abort,
    "segfault": lambda: ctypes.string_at(0),
    "kill": lambda: os.kill(os.getpid(), 9),
    "recurse": _recurse,
    "sleep": lambda: time.sleep(600),
    "spin": _spin,
    "eat": lambda: bytearray(1 << 40),
    "shout": lambda: [os.write(1, b"x" * 65536) for _ in range(64)] and None,
    "close everything": lambda: os.closerange(0, 256),
}


class _Does:
    """Does ``how`` when it comes ``where``."""

    where: str
    how: str

    def _at(self, where: str) -> None:
        if where == self.where:
            DEEDS[self.how]()

    def __post_init__(self) -> None:
        self._at("made")
        super().__post_init__()  # type: ignore[misc]

    def __repr__(self) -> str:
        self._at("shown")
        return "shown"

    def __reduce__(self) -> Any:
        self._at("pickled")
        return super().__reduce__()

    def check(self) -> list[Problem]:
        self._at("checked")
        return []


class _Rule:
    """A field's own check, in an annotation."""

    def coerce(self, value: object) -> object:
        if isinstance(value, str) and value in DEEDS:
            DEEDS[value]()
        return value


@dataclass(frozen=True)
class MadeJob(_Does, Job):
    how: str = "raise"
    where: str = "made"

    async def run(self, demand: float) -> None: ...


@dataclass(frozen=True)
class CoercedJob(Job):
    how: Annotated[str, _Rule()] = ""

    async def run(self, demand: float) -> None: ...


@dataclass(frozen=True)
class AskedArrivals(_Does, Arrivals):
    how: str = "raise"
    where: str = "asked_rate"
    rate: float | str | None = 10.0

    def asked_rate(self) -> float | None:
        self._at("asked_rate")
        return object() if self.rate == "nothing" else self.rate  # type: ignore[return-value]

    @property
    def ends(self) -> str:  # type: ignore[override]
        self._at("ends")
        return "with jobs or duration"

    def span(self) -> float | None:
        self._at("span")
        return None

    def instants(self, rng: np.random.Generator) -> Iterator[np.ndarray]:
        yield np.arange(10, dtype=np.int64)


@dataclass(frozen=True)
class AskedCost(_Does, CostModel):
    how: str = "raise"
    where: str = "monotone"

    def components(self) -> Iterator[Component]:
        self._at("components")
        yield Component("jobs", Jobs(), Flat("1"), "Jobs")

    @property
    def monotone(self) -> bool:
        self._at("monotone")
        return True


@dataclass(frozen=True)
class AskedScheduler(_Does, Scheduler):
    how: str = "raise"
    where: str = "made"
    slots: Annotated[int, Meta(ge=1)] | None = None

    def queue(self) -> Queue:
        raise NotImplementedError


@dataclass(frozen=True)
class AskedDistribution(_Does, Distribution):
    how: str = "raise"
    where: str = "moments"

    def sample(self, rng: np.random.Generator, n: int) -> np.ndarray:
        return np.full(n, 0.001)

    def moments(self) -> Any:
        self._at("moments")
        return (0.001, 0.0)
