"""Objectives of a thumbnail service as tests. Run them with pytest: the fixture comes with Aurea."""

from __future__ import annotations

import asyncio
import time
import zlib
from dataclasses import replace
from pathlib import Path

from aurea_engine import Job, Objective, Poisson, RunSpec, Workload, parse_json, spec_from_dict

PLAN = spec_from_dict(parse_json((Path(__file__).parent / "thumbnails.json").read_text()))


def test_a_usual_day(aurea):
    """Four workers carry forty thumbnails a second: 95 % of them are ready within 0.3 s."""
    aurea.require(aurea.run("thumbnails.json"))


def test_the_day_of_the_sale(aurea):
    """And sixty a second?"""
    sale = replace(PLAN.workload, arrivals=Poisson(60))
    aurea.require(aurea.run(replace(PLAN, workload=sale)))


def test_a_tight_bound(aurea):
    """A bound so close to what is measured that 20,000 jobs do not tell on which side it is."""
    tight = Objective("response_time", quantile=0.95, at_most=0.19)
    aurea.require(aurea.run(replace(PLAN, objectives=(tight,))))


class Thumbnail(Job):
    """Your own code. This one blocks the event loop, so most jobs are released late, and figures are those of the test."""

    async def run(self, demand):
        time.sleep(0.02)


def test_code_that_blocks(aurea):
    workload = Workload(Thumbnail(), Poisson(200), jobs=100)
    aurea.require(aurea.run(RunSpec(workload, objectives=(Objective("response_time", at_most=0.1),))))


class Compressed(Job):
    """The same, in a thread: the event loop stays free."""

    async def run(self, demand):
        await asyncio.to_thread(zlib.compress, b"a picture" * 1000)


async def compress(aurea):
    """In an event loop that runs already, such as that of an async test: await `run_async`."""
    objectives = (Objective("failure_ratio", at_most=0.01), Objective("response_time", quantile=0.9, at_most=1))
    result = await aurea.run_async(RunSpec(Workload(Compressed(), Poisson(50), jobs=60), objectives=objectives))
    aurea.require(result)


def test_code_in_a_loop_of_ours(aurea):
    asyncio.run(compress(aurea))
