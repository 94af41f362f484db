"""What ``vllm bench serve`` would have reported of the same requests.

Source: vllm-project/vllm, ``vllm/benchmarks/serve.py`` (`calculate_metrics`) and ``lib/endpoint_request_func.py``
(`async_request_openai_chat_completions`), as of 2026-11.
"""

from __future__ import annotations

import numpy as np

from aurea_engine.records.batch import NS, Floats, Instants
from aurea_engine.results.parity.requests import MS, NO_BOUNDS, Bounds, Mask, Pooled, Requests
from aurea_engine.results.parity.summaries import Report, spread, spread_pooled


def report_vllm(requests: Requests, bounds: Bounds) -> Report:
    """Every figure that it prints and that records allow, by (figure, statistic); times in ms, rates per second."""
    mask = _succeeded(requests)
    count = int(mask.sum())
    tokens, spent = requests.tokens[mask], int(requests.tokens[mask].sum())
    asked = int(np.maximum(requests.input_tokens[mask], 0).sum())
    first = (requests.first_frame - requests.started)[mask]
    last = (requests.last_frame - requests.started)[mask]
    # One token has no gap: it is left out of the mean, and taken for 0 by goodput.
    several = tokens > 1
    gaps = np.where(several, (last - first) / np.maximum(tokens - 1, 1), 0.0)
    # From the start of the benchmark to the end of its last task, whatever became of that.
    duration = (int(requests.finished.max(initial=requests.began)) - requests.began) / NS
    good = _count_good(first / NS, gaps / NS, last / NS, bounds)
    return {
        ("requests_answered", ""): float(count),
        ("requests_failed", ""): float(int((requests.answered | requests.errored).sum()) - count),
        ("duration", ""): duration,
        **spread("first_token_time", first / MS),
        **spread("token_gap", gaps[several] / MS),
        **spread_pooled("frame_gap", _pool_gaps(requests, mask)),
        **spread("end_to_end", last / MS),
        ("request_rate", ""): count / duration if duration else 0.0,
        ("output_token_rate", ""): spent / duration if duration else 0.0,
        ("token_rate", ""): (asked + spent) / duration if duration else 0.0,
        ("goodput", ""): None if bounds == NO_BOUNDS else good / duration if duration else 0.0,
        ("peak_concurrency", ""): float(_find_peak(requests.started[mask], requests.last_frame[mask])),
    }


def _succeeded(requests: Requests) -> Mask:
    """Whatever had a first frame and ended without an exception of the client."""
    # It takes an error frame for one without choices, and reads on. So an answer that was broken off by one is a success.
    return np.asarray((requests.answered | requests.broken_off) & (requests.first_frame >= 0))


def _pool_gaps(requests: Requests, mask: Mask) -> Pooled | None:
    """Gaps between all frames that have choices: also from one that only says the role, and to one that only ends."""
    if requests.gaps is None:
        return None
    head = (requests.first_token - requests.first_frame)[mask & (requests.first_token > requests.first_frame)]
    tail = (requests.last_frame - requests.last_token)[mask & (requests.last_token >= 0)]
    return requests.gaps.join(Pooled.of(np.concatenate([head, tail[tail > 0]])))


def _count_good(first: Floats, gaps: Floats, last: Floats, bounds: Bounds) -> int:
    good = np.ones(len(first), bool)
    for values, most in zip((first, gaps, last), bounds, strict=True):
        if most is not None:
            good &= values <= most
    return int(good.sum())


def _find_peak(begins: Instants, ends: Instants) -> int:
    """The most at once, by a sweep over half-open intervals: at one instant an end comes before a beginning."""
    instants = np.concatenate([ends, begins])
    steps = np.concatenate([np.full(len(ends), -1), np.ones(len(begins), int)])
    order = np.lexsort((steps, instants))
    return int(np.cumsum(steps[order]).max(initial=0))
