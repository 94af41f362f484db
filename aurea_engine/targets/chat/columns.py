"""What a chat reports of itself: the marks and measures of its record, each named once."""

from __future__ import annotations

from aurea_engine.records.batch import NS
from aurea_engine.records.measures import Mark, Measure

# Instants are stored and durations derived, with two exceptions: a gap and a rate divide by the tokens of the same job, so
# that objectives, good jobs, groups and files need to know of them no more than of any other amount. Their units have a
# slash: a sum of such amounts means nothing, and none is shown.

MARKS = (
    Mark("connected"),
    Mark("sent"),
    Mark("first_byte"),
    Mark("first_frame"),
    Mark("first_token"),
    Mark("first_answer"),
    Mark("last_token"),
    Mark("last_frame"),
)

INPUT_TOKENS = Measure("input_tokens", "tokens")
OUTPUT_TOKENS = Measure("output_tokens", "tokens")
FRAMES = Measure("frames", "frames")

MEASURES = (
    Measure("status", "code"),
    Measure("bytes_sent", "bytes"),
    Measure("bytes_received", "bytes"),
    INPUT_TOKENS,
    Measure("cached_tokens", "tokens"),
    OUTPUT_TOKENS,
    Measure("reasoning_tokens", "tokens"),
    FRAMES,
    Measure("token_gap", "s/token", NS),
    Measure("output_rate", "tokens/s", 1000),
    Measure("asked_input", "tokens"),
    Measure("asked_output", "tokens"),
)

FRAME_GAP = Measure("frame_gap", "s", NS)
"""The gaps between frames that carry content, of all streams of a run together: a histogram, and no column."""
