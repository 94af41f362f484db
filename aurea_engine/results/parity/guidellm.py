"""What guidellm would have reported of the same requests.

Source: vllm-project/guidellm 0.8.1, ``schemas/request_stats.py``, ``benchmark/schemas/metrics.py``,
``schemas/base/statistics.py`` and ``schemas/benchmark/goodput.py``.
"""

from __future__ import annotations

import numpy as np

from aurea_engine.records.batch import NS, Floats
from aurea_engine.results.parity.requests import MS, NO_BOUNDS, Bounds, Mask, Requests
from aurea_engine.results.parity.summaries import Report, spread_weighted


def report_guidellm(requests: Requests, bounds: Bounds) -> Report:
    """Every figure that it prints and that records allow, by (figure, statistic); times in ms, rates per second."""
    mask = requests.answered
    count = int(mask.sum())
    has_token = mask & (requests.first_token >= 0)
    tokens, ones = requests.tokens, np.ones(len(requests))
    first = (requests.first_token - requests.started) / MS
    answer = mask & (requests.first_answer >= 0)
    latency = (requests.finished - requests.started) / MS
    # Of an answer without tokens, which has no last one either, it takes the end of the request.
    last = np.where(requests.last_token >= 0, requests.last_token, requests.finished)
    per_token = np.where(tokens > 0, (last - requests.started) / np.maximum(tokens, 1), 0.0) / MS
    gaps = (requests.last_token - requests.first_token) / np.maximum(tokens - 1, 1) / MS
    duration = _find_window(requests)
    spent, asked = int(tokens[mask].sum()), int(np.maximum(requests.input_tokens[mask], 0).sum())
    good, determined = _judge(first, gaps, latency, requests, bounds)
    return {
        ("requests_answered", ""): float(count),
        ("requests_failed", ""): float(requests.errored.sum()),
        ("duration", ""): duration,
        **spread_weighted("first_token_time", first[has_token], ones[has_token]),
        **spread_weighted("first_answer_time", ((requests.first_answer - requests.started) / MS)[answer], ones[answer]),
        **spread_weighted("token_gap", gaps[has_token], np.maximum(tokens - 1, 0)[has_token].astype(float)),
        **spread_weighted("time_per_token", per_token[mask], tokens[mask].astype(float)),
        **spread_weighted("end_to_end", latency[mask], ones[mask]),
        ("request_rate", ""): count / duration if duration else 0.0,
        ("output_token_rate", ""): spent / duration if duration else 0.0,
        ("token_rate", ""): (asked + spent) / duration if duration else 0.0,
        ("goodput", ""): good / duration if determined and duration else None,
        ("good_share", ""): good / determined if determined else None,
    }


def _find_window(requests: Requests) -> float:
    """From the start of the first request to the end of the last one, s."""
    if not len(requests):
        return 0.0
    return (int(requests.finished.max()) - int(requests.started.min())) / NS


def _judge(first: Floats, gaps: Floats, latency: Floats, requests: Requests, bounds: Bounds) -> tuple[int, int]:
    """How many requests are within all bounds, and of how many that could be told. Without bounds nothing is."""
    if bounds == NO_BOUNDS:
        return 0, 0
    has_token, several = requests.first_token >= 0, (requests.first_token >= 0) & (requests.tokens > 1)
    everyone = np.ones(len(requests), bool)
    within: Mask = requests.answered.copy()
    known: Mask = requests.answered.copy()
    for most, values, has in zip(bounds, (first, gaps, latency), (has_token, several, everyone), strict=True):
        if most is not None:
            # One bound that cannot be judged leaves the request out altogether, also where another one is missed.
            known &= has
            within &= has & (values <= most * 1000)
    return int((within & known).sum()), int(known.sum() + requests.errored.sum())
