"""A real language-model server on this machine's processor: ``python -m tests.targets.serve_model MODEL.gguf``.

It prints its URL when the model is loaded, and ends with its stdin. Needs PyPI's xllamacpp, which has a wheel of llama.cpp.
"""

from __future__ import annotations

import importlib
import sys


def serve(model: str) -> None:
    # By name: no type checker of ours knows a package that few have.
    xllamacpp = importlib.import_module("xllamacpp")
    settings = xllamacpp.CommonParams()
    settings.model.path = model
    settings.model_alias = {"tiny"}
    settings.hostnames = ["127.0.0.1"]
    settings.port = 0
    settings.n_ctx = 2048
    settings.n_parallel = 2
    settings.cpuparams.n_threads = 1
    settings.warmup = False
    settings.endpoint_metrics = True
    server = xllamacpp.Server(settings)
    sys.stdout.write(f"{server.listening_address}\n")
    sys.stdout.flush()
    sys.stdin.read()


if __name__ == "__main__":
    serve(sys.argv[1])
