"""How many checkouts a second do four slots carry, and what does a million cost then? Run it with python.

With the name of a file it also draws the picture of docs/capacity.md: python find_capacity.py capacity.svg
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from aurea_engine import CapacityAnswer, SearchLimits, capacity, parse_toml, spec_from_dict
from aurea_engine.costs import Fleet
from aurea_engine.studies.capacity_chart import capacity_svg

SPEC = spec_from_dict(
    parse_toml((Path(__file__).parent / "specs" / "checkout.toml").read_bytes()) | {"clock": "virtual"}
)
COSTS = {"fleet": Fleet(price="0.096", slots=2)}
# Short trials, so that this takes two seconds. Without the limit they have up to 1,000,000 jobs, for a narrower bracket.
SHORT = SearchLimits(jobs_of_trial=20_000)


def main() -> None:
    answer = asyncio.run(capacity(SPEC, costs=COSTS, limits=SHORT))
    print(
        f"{answer.status}: {answer.value:.1f} jobs/s, between {answer.interval.low:.1f} and {answer.interval.high:.1f}"
    )
    describe_verification(answer)
    for cost in answer.costs:
        money, low, high = (float(each or 0) for each in (cost.per_million_good, *cost.interval))
        print(f"{cost.model:10} {money:.3f} USD per million good, {low:.3f} to {high:.3f}, {cost.basis}")
    fewest = asyncio.run(capacity(SPEC, "slots", costs=COSTS, limits=SHORT))
    print(f"{fewest.status}: at {fewest.rate:g} jobs/s the fewest slots are {fewest.value}")
    if len(sys.argv) > 1:
        Path(sys.argv[1]).write_text(capacity_svg(answer), "utf-8")


def describe_verification(answer: CapacityAnswer) -> None:
    """The runs on fresh seeds, none of which took part in the search."""
    assert answer.verification is not None
    seeds = len(answer.verification.seeds)
    for each in answer.verification.objectives:
        print(f"verified on {seeds} fresh seeds: {each.objective}, 95 % bound {each.bound:.4f} s")


if __name__ == "__main__":
    main()
