"""The figures of a parity table: how each tool defines its own, and why it differs from ours."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Tool = Literal["vLLM", "aiperf", "guidellm"]
TOOLS: tuple[Tool, ...] = ("vLLM", "aiperf", "guidellm")


@dataclass(frozen=True)
class Term:
    """What a tool calls a figure, and its formula in the marks and measures of a request."""

    name: str
    formula: str


@dataclass(frozen=True)
class Definition:
    """One figure. ``statistics``: it is given by mean, p50 and p99; else it is one number. ``ours``: the same of Aurea."""

    figure: str
    title: str
    unit: str
    ours: Term
    theirs: Mapping[Tool, Term]
    why: str
    statistics: bool = False


DEFINITIONS: tuple[Definition, ...] = (
    Definition(
        "requests_answered",
        "answered",
        "requests",
        Term("counts.completed", "requests that ended as they should"),
        {
            "vLLM": Term("Successful requests", "had a frame with choices, and the client raised no exception"),
            "aiperf": Term("Request Count", "answered, with content"),
            "guidellm": Term("successful requests", "answered"),
        },
        "vLLM reads on past an error frame: an answer that the server broke off with one is a success there, and a failure "
        "(stream_error) here.",
    ),
    Definition(
        "requests_failed",
        "failed",
        "requests",
        Term("counts.failed + timed_out", "every request that was sent and not answered"),
        {
            "vLLM": Term("Failed requests", "the others"),
            "aiperf": Term("Error Request Count", "the others, and answers without content"),
            "guidellm": Term("errored requests", "failed or timed out"),
        },
        "Requests that were rejected, or cancelled at the end, are counted only here.",
    ),
    Definition(
        "duration",
        "duration",
        "s",
        Term(
            "window", "from the end of the warm-up to the end of the arrivals, or of the last request if that is later"
        ),
        {
            "vLLM": Term("Benchmark duration", "max(finished) − begin"),
            "aiperf": Term("Benchmark Duration", "max(last_token) − min(started), of answered requests"),
            "guidellm": Term("measured window", "max(finished) − min(started)"),
        },
        "A window that begins with the first request and ends with the last answer is shorter than the load: 100 requests "
        "at 100/s last 0.99 s, and their rate comes out as 101/s.",
    ),
    Definition(
        "first_token_time",
        "first token",
        "ms",
        Term("first_token", "first_token − intended"),
        {
            "vLLM": Term("TTFT", "first_frame − started"),
            "aiperf": Term("Time to First Token", "first_token − started"),
            "guidellm": Term("TTFT", "first_token − started"),
        },
        "Ours begins when the request was meant to start, so that waiting in the client counts. vLLM's ends at any frame "
        "with choices: one that only names the role stops the clock. Of too few requests only ours leaves the p99 out.",
        statistics=True,
    ),
    Definition(
        "first_answer_time",
        "first answer",
        "ms",
        Term("first_answer", "first_answer − intended"),
        {
            "aiperf": Term("Time to First Output Token", "first_answer − started"),
            "guidellm": Term("time_to_first_output_token", "first_answer − started"),
        },
        "The first token that is no reasoning. vLLM has no such figure.",
        statistics=True,
    ),
    Definition(
        "token_gap",
        "token gap",
        "ms",
        Term("token_gap", "(last_token − first_token) ÷ (output_tokens − 1), one value a request"),
        {
            "vLLM": Term("TPOT", "(last_frame − first_frame) ÷ (output_tokens − 1), one value a request"),
            "aiperf": Term(
                "Inter Token Latency", "(last_token − first_token) ÷ (output_tokens − 1), one value a request"
            ),
            "guidellm": Term("ITL", "the same, each request weighted by output_tokens − 1"),
        },
        "guidellm weights long answers more. aiperf subtracts the tokens of the first frame, where the server says them in "
        "every frame.",
        statistics=True,
    ),
    Definition(
        "time_per_token",
        "time per token",
        "ms",
        Term("–", "none: it mixes the first token, which waits, with the others, which do not"),
        {"guidellm": Term("TPOT", "(last_token − started) ÷ output_tokens, weighted by output_tokens")},
        "vLLM calls the token gap TPOT, guidellm this: the same three letters, with and without the first token.",
        statistics=True,
    ),
    Definition(
        "frame_gap",
        "frame gap",
        "ms",
        Term("frame_gap", "gaps between frames that carry content, of all requests together"),
        {
            "vLLM": Term("ITL", "gaps between frames that have choices, of all requests together"),
            "aiperf": Term("Inter Chunk Latency", "gaps between frames that carry content, of all requests together"),
        },
        "A frame is no token: servers bundle several, and speculative decoding does so by design. vLLM also counts the gap "
        "behind a frame that only names the role.",
        statistics=True,
    ),
    Definition(
        "end_to_end",
        "end to end",
        "ms",
        Term("response_time", "finished − intended"),
        {
            "vLLM": Term("E2EL", "last_frame − started"),
            "aiperf": Term("Request Latency", "last_token − started"),
            "guidellm": Term("Request Latency", "finished − started"),
        },
        "Theirs leave out how long the client held a request back, and vLLM's and aiperf's also what follows the last "
        "token.",
        statistics=True,
    ),
    Definition(
        "output_rate",
        "output rate of a request",
        "tokens/s",
        Term("output_rate", "output_tokens ÷ (finished − sent)"),
        {"aiperf": Term("Output Token Throughput Per User", "1 ÷ Inter Token Latency")},
        "aiperf leaves out the wait for the first token, so a server that keeps users waiting is not slower by it.",
        statistics=True,
    ),
    Definition(
        "request_rate",
        "requests",
        "/s",
        Term("throughput", "answered ÷ window"),
        {
            "vLLM": Term("Request throughput", "successful ÷ duration"),
            "aiperf": Term("Request Throughput", "Request Count ÷ duration"),
            "guidellm": Term("requests_per_second, mean", "successful ÷ duration"),
        },
        "Each divides by a duration of its own, see above.",
    ),
    Definition(
        "output_token_rate",
        "output tokens",
        "tokens/s",
        Term("output_tokens ÷ window", "tokens of answered requests ÷ window"),
        {
            "vLLM": Term("Output token throughput", "tokens of successful requests ÷ duration"),
            "aiperf": Term("Output Token Throughput", "tokens ÷ duration"),
            "guidellm": Term("output_tokens_per_second, mean", "tokens of successful requests ÷ duration"),
        },
        "Tokens of requests that failed were produced and paid for, and are in none of these. The bill has them.",
    ),
    Definition(
        "token_rate",
        "all tokens",
        "tokens/s",
        Term("(input_tokens + output_tokens) ÷ window", "tokens of answered requests ÷ window"),
        {
            "vLLM": Term("Total token throughput", "(input + output) ÷ duration"),
            "aiperf": Term("Total Token Throughput", "(input + output) ÷ duration"),
            "guidellm": Term("tokens_per_second, mean", "(input + output) ÷ duration"),
        },
        "Input tokens that came from a cache count in full.",
    ),
    Definition(
        "goodput",
        "good requests",
        "/s",
        Term("goodput", "requests within all objectives ÷ window"),
        {
            "vLLM": Term("Request goodput", "successful requests within all bounds ÷ duration"),
            "aiperf": Term("Goodput", "requests within all bounds ÷ duration"),
            "guidellm": Term("request_goodput, mean", "requests within all bounds ÷ duration"),
        },
        "vLLM takes the gap of a one-token answer for 0, so it passes every bound on gaps. Here and in aiperf it passes "
        "none.",
    ),
    Definition(
        "good_share",
        "share of good requests",
        "",
        Term("good_share", "requests within all objectives ÷ all that arrived"),
        {
            "aiperf": Term("Good Request Fraction", "good ÷ (answered + failed)"),
            "guidellm": Term("slo_attainment", "good ÷ (those that could be judged + failed)"),
        },
        "guidellm leaves a one-token answer out where gaps are bounded. Only here requests that the client never sent count "
        "as not good.",
    ),
    Definition(
        "peak_concurrency",
        "most at once",
        "requests",
        Term("concurrency.peak", "the most requests in service at any instant"),
        {"vLLM": Term("Peak concurrent requests", "the most successful requests at once, each until its last frame")},
        "vLLM leaves out requests that failed.",
    ),
)
"""Every figure, in the order of the table."""
