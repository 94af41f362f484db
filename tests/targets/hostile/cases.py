"""The cases of the hostile server. A case is a pure function of its seed.

The server (`server.py`) and the test (`test_differential.py`) work it out each for itself, so that nothing but the seed
travels between them, as the path of the request. A seed is a *conversation*: up to three exchanges that one client makes in
turn, over one connection as long as that may be kept.
"""

from __future__ import annotations

import random
from dataclasses import replace
from functools import lru_cache

from tests.targets.hostile.compression import COMPRESSION
from tests.targets.hostile.every_byte import exchange_at
from tests.targets.hostile.oversized import OVERSIZED
from tests.targets.hostile.parts import Exchange
from tests.targets.hostile.right import RIGHT
from tests.targets.hostile.wrong import WRONG

KINDS = {**RIGHT, **WRONG, **COMPRESSION, **OVERSIZED}
WEIGHTS = [weight for weight, _ in KINDS.values()]


@lru_cache(maxsize=64)
def conversation(seed: int) -> list[Exchange]:
    """The exchanges of a seed, in the order in which one client makes them."""
    rng = random.Random(seed)
    names = rng.choices(list(KINDS), WEIGHTS, k=rng.choice([1, 1, 2, 3]))
    return [replace(KINDS[name][1](rng), kind=name) for name in names]


def path_of(seed: int, place: int) -> str:
    return f"/case/{seed}/{place}"


def case_at(path: str) -> Exchange:
    """What the server does for a request of this path."""
    if path.startswith("/get/"):
        return plain_get(int(path[len("/get/") :]))
    if not path.startswith("/case/"):
        return exchange_at(path)
    _, seed, place = path.strip("/").split("/")
    return conversation(int(seed))[int(place)]


@lru_cache(maxsize=64)
def plain_get(seed: int) -> Exchange:
    """An exchange of any kind that a GET can play and that ends, for a client whose requests are all the same."""
    rng = random.Random(-1 - seed)
    while True:
        [name] = rng.choices(list(KINDS), WEIGHTS)
        exchange = KINDS[name][1](rng)
        ends = "timeout" not in exchange.truth.failures
        if ends and exchange.asked.method == "GET" and not exchange.asked.inflates:
            return replace(exchange, kind=name)
