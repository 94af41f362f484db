"""The page about cost and the example of an own cost model do what they say."""

from __future__ import annotations

import contextlib
import io
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"```python\n(.*?)```\n(?:```text\n(.*?)```)?", re.DOTALL)


def test_the_page_prints_what_it_shows() -> None:
    names: dict[str, Any] = {"__name__": "page"}
    for code, shown in BLOCK.findall((ROOT / "docs" / "cost.md").read_text(encoding="utf-8")):
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            exec(compile(code, "docs/cost.md", "exec", dont_inherit=True), names)
        assert out.getvalue() == shown, code


@pytest.mark.service
def test_the_example_prints_what_it_shows() -> None:
    example = ROOT / "examples" / "own_cost_model.py"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, example], capture_output=True, text=True, check=True, env=environment)
    assert done.stdout == example.with_suffix(".out").read_text(encoding="utf-8")


def test_every_kind_is_on_the_page() -> None:
    from aurea_engine.costs import KINDS

    page = (ROOT / "docs" / "cost.md").read_text(encoding="utf-8")
    assert [kind for kind in KINDS if f"| `{kind}` |" not in page] == []
