"""Chats in virtual time: when the first token of an answer comes, and how far apart the others are, without a server."""

# A simulated request takes its slot for as long as its answer takes, and slots are the batch of the server. What a real
# server does under load, longer steps for fuller batches, is not simulated: both times are drawn from the specification,
# whatever else is in service. Each result says so (`aurea_engine.results.simulated_checks`).

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from aurea_engine.fields.checked import Checked, Seconds
from aurea_engine.records.batch import Floats
from aurea_engine.records.measures import Schema
from aurea_engine.targets.chat.columns import MARKS, MEASURES
from aurea_engine.targets.chat.prompts.lengths import Wanted
from aurea_engine.workload.distributions import Distribution, draw_durations
from aurea_engine.workload.jobs import Plan
from aurea_engine.workload.planned_reports import Numbers, plan_reports
from aurea_engine.workload.streams import Streams


@dataclass(frozen=True)
class SimulatedChat(Checked):
    """How a chat goes in virtual time: seconds to the first token, and from each token to the next of the same answer.

    Each request draws both once. They do not depend on how many requests are in service. ``input_token_time``: seconds that
    each token of the prompt adds to the time to the first one.
    """

    first_token_time: Distribution
    token_gap: Distribution
    input_token_time: Seconds = 0.0


def plan_simulated(simulated: SimulatedChat, streams: Streams, wanted: Wanted) -> Plan:
    """Jobs whose answers have as many tokens as are ``wanted``."""
    n = len(wanted.output)
    # A stream for each: another distribution of one leaves the draws of the other alone.
    first = draw_durations(simulated.first_token_time, streams.rng("first token times"), n)
    first = first + wanted.input * simulated.input_token_time
    gap = draw_durations(simulated.token_gap, streams.rng("token gaps"), n)
    demand = first + (wanted.output - 1) * gap
    return Plan(
        demand=demand,
        limit=np.full(n, np.inf),
        fails=np.zeros(n, bool),
        priority=np.zeros(n, np.int64),
        leaf=np.zeros(n, np.intp),
        reports=plan_reports("Chat", Schema(MARKS, MEASURES), _report(first, gap, demand, wanted), demand),
    )


def _report(first: Floats, gap: Floats, demand: Floats, wanted: Wanted) -> dict[str, Numbers]:
    """What the server and the client would have told: a request is sent when its service begins, and nothing is cached."""
    nothing = np.zeros(len(first), np.int64)
    with np.errstate(divide="ignore", invalid="ignore"):
        rate = np.where(demand > 0, wanted.output / demand, np.nan)
    return {
        "sent": np.zeros(len(first)),
        **dict.fromkeys(("first_byte", "first_frame", "first_token", "first_answer"), first),
        **dict.fromkeys(("last_token", "last_frame"), demand),
        "input_tokens": wanted.input,
        "cached_tokens": nothing,
        "output_tokens": wanted.output,
        "reasoning_tokens": nothing,
        "frames": wanted.output,
        # One token has no gap, and none is made up for it.
        "token_gap": np.where(wanted.output > 1, gap, np.nan),
        "output_rate": rate,
        "asked_input": wanted.input,
        "asked_output": wanted.output,
    }
