"""Lengths that are asked of a real model server, with its own tokenizer and template, where one is installed."""

from __future__ import annotations

import pytest

from aurea_engine import (
    Chat,
    Closed,
    Constant,
    PromptPrefix,
    Prompts,
    RunSpec,
    Uniform,
    Workload,
    result_to_dict,
    run_sync,
)
from tests.cli.test_real_model import model_server

__all__ = ["model_server"]

pytestmark = pytest.mark.service


@pytest.mark.parametrize(
    "prompts",
    [
        Prompts(input=Uniform(40, 150), output=Constant(2)),
        Prompts(input=Constant(20), output=Constant(2), prefix=PromptPrefix(100)),
    ],
    ids=["shape", "prefix"],
)
def test_a_real_server_counts_what_was_asked_for(model_server: str, prompts: Prompts) -> None:
    """Within three tokens of each prompt: what two probes told of its tokenizer holds for all."""
    chat = Chat(model_server, prompts=prompts, reuse=False, timeout=300)
    result = run_sync(RunSpec(Workload(chat, Closed(2), jobs=6), seed=1))
    assert result.counts.completed == 6, result.failures
    for job in result_to_dict(result)["jobs"]:
        amounts = job["measures"]
        assert abs(amounts["input_tokens"] - amounts["asked_input"]) <= 3
