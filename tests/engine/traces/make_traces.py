"""Makes the traces of this folder again: invented requests, in the forms in which real ones are published.

``python tests/engine/traces/make_traces.py`` writes the same bytes each time. No row is of a published trace.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

ROWS = 200
HERE = Path(__file__).parent


def make_mooncake(rng: Random) -> str:
    """Conversations whose prompts begin with what was said before: ids of blocks that come again."""
    lines, at, next_id, talks = [], 0, 0, list[tuple[int, list[int]]]()
    for _ in range(ROWS):
        at += rng.choice([0, 0, 7, 150, 1_000, 2_999])
        length, blocks = talks.pop(rng.randrange(len(talks))) if talks and rng.random() < 0.6 else (0, [])
        length += rng.randint(1, 3_000)
        while len(blocks) * 512 < length:
            blocks = [*blocks, next_id]
            next_id += 1
        answer = rng.randint(1, 700)
        lines.append(json.dumps({"timestamp": at, "input_length": length, "output_length": answer, "hash_ids": blocks}))
        # The last block of a prompt is only begun: it goes on with the answer, and so becomes another one.
        talks = [*talks[-9:], (length + answer, blocks[: length // 512])]
    return "\n".join(lines) + "\n"


def make_azure(rng: Random, start: datetime, decimals: int, zone: str) -> str:
    """Dates of 100 ns, or of a microsecond with a zone, as the two published sets have them."""
    lines, units = ["TIMESTAMP,ContextTokens,GeneratedTokens"], 9_799_600 if decimals == 7 else 9_930
    for _ in range(ROWS):
        units += rng.choice([0, 1, 461_490, 5 * 10**decimals]) + rng.randrange(10**decimals)
        seconds, part = divmod(units, 10**decimals)
        stamp = f"{start + timedelta(seconds=seconds):%Y-%m-%d %H:%M:%S}.{part:0{decimals}d}{zone}"
        lines.append(f"{stamp},{rng.randint(1, 7_437)},{rng.randint(1, 1_500)}")
    return "\n".join(lines) + "\n"


def make_burstgpt(rng: Random) -> str:
    """Whole seconds, two models, and requests that failed: their answer has 0 tokens."""
    lines, at = ["Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type"], 5
    for _ in range(ROWS):
        at += rng.choice([0, 1, 1, 40, 900])
        prompt, answer = rng.randint(1, 3_000), rng.choice([0, *[rng.randint(1, 900)] * 9])
        model, log = rng.choice(["ChatGPT", "GPT-4"]), rng.choice(["Conversation log", "API log"])
        lines.append(f"{at},{model},{prompt},{answer},{prompt + answer},{log}")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    made = {
        "mooncake.jsonl": make_mooncake(Random(1)),
        "azure_2023.csv": make_azure(Random(2), datetime(2023, 11, 16, 18, 17, 3, tzinfo=UTC), 7, ""),
        "azure_2024.csv": make_azure(Random(3), datetime(2024, 5, 9, 23, 58, 0, tzinfo=UTC), 6, "+00:00"),
        "burstgpt.csv": make_burstgpt(Random(4)),
    }
    for name, text in made.items():
        (HERE / name).write_text(text, newline="")
