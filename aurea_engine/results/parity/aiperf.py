"""What aiperf would have reported of the same requests, with the server's token counts (``--use-server-token-count``).

Source: ai-dynamo/aiperf 0.13.0, ``aiperf/metrics/types/`` (each class states its formula) and
``metrics/metric_dicts.py`` (`metric_result_from_array`).
"""

from __future__ import annotations

import numpy as np

from aurea_engine.records.batch import NS, Floats
from aurea_engine.results.parity.requests import MS, NO_BOUNDS, Bounds, Requests
from aurea_engine.results.parity.summaries import Report, spread_or_none, spread_pooled


def report_aiperf(requests: Requests, bounds: Bounds) -> Report:
    """Every figure that it prints and that records allow, by (figure, statistic); times in ms, rates per second."""
    # Without any content a reply is no valid record: it counts as an error.
    mask = requests.answered & (requests.first_token >= 0)
    errors = int((requests.errored | (requests.answered & ~mask)).sum())
    count = int(mask.sum())
    started, tokens = requests.started[mask], requests.tokens[mask]
    first = requests.first_token[mask] - started
    latency = requests.last_token[mask] - started
    spent, asked = int(tokens.sum()), int(np.maximum(requests.input_tokens[mask], 0).sum())
    gaps = np.where(tokens > 1, (latency - first) / np.maximum(tokens - 1, 1), np.nan)
    several = tokens > 1
    answer = requests.first_answer[mask]
    duration = (int((started + latency).max()) - int(started.min())) / NS if len(started) else 0.0
    good = _count_good((first / NS, gaps / NS, latency / NS), bounds)
    has_gap = several & (gaps > 0)
    return {
        ("requests_answered", ""): float(count),
        ("requests_failed", ""): float(errors),
        ("duration", ""): duration,
        **spread_or_none("first_token_time", first / MS),
        **spread_or_none("first_answer_time", (answer - started)[answer >= 0] / MS),
        **spread_or_none("token_gap", gaps[several] / MS),
        **spread_pooled("frame_gap", requests.gaps),
        **spread_or_none("end_to_end", latency / MS),
        **spread_or_none("output_rate", NS / gaps[has_gap]),
        ("request_rate", ""): count / duration if duration else None,
        ("output_token_rate", ""): spent / duration if duration else None,
        ("token_rate", ""): (asked + spent) / duration if duration else None,
        ("goodput", ""): good / duration if duration and bounds != NO_BOUNDS else None,
        ("good_share", ""): good / (count + errors) if bounds != NO_BOUNDS and count + errors else None,
    }


def _count_good(columns: tuple[Floats, Floats, Floats], bounds: Bounds) -> int:
    good = np.ones(len(columns[0]), bool)
    for values, most in zip(columns, bounds, strict=True):
        if most is not None:
            # A comparison with NaN is false: what has no gap is within no bound on gaps.
            good &= values <= most
    return int(good.sum())
