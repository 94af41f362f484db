"""``aurea chat URL``: requests to a language model, without a specification file."""

from __future__ import annotations

import base64
import secrets
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from aurea_engine import Access, Catalog, Problem, SpecError, default_catalog, inline_files
from aurea_engine.errors import LITERAL_CREDENTIAL
from aurea_server.cli.chat_options import ChatOptions, inline_prompts
from aurea_server.cli.credentials import Credential, split_userinfo, take_credentials
from aurea_server.cli.http import choose_url, make_spec, save_document
from aurea_server.cli.http_options import collect
from aurea_server.cli.load_options import FLAGS, ChatLoadOptions
from aurea_server.cli.local_run import OutputOptions, Place, run_here
from aurea_server.cli.model_list import find_only_model
from aurea_server.cli.money_options import MoneyOptions
from aurea_server.cli.shard_options import ShardOptions
from aurea_server.stdio.output_files import check_output

CHAT_FLAGS = FLAGS | {
    "workload.job.model": "--model",
    "workload.job.prompts.file": "--prompts",
    "workload.job.prompts.input": "--input-tokens",
    "workload.job.prompts.output": "--output-tokens",
    "workload.job.prompts.prefix": "--prefix-tokens",
    "workload.job.prompts": "--prompt",
    "workload.job.max_tokens": "--max-tokens",
    "workload.job.endpoint": "--endpoint",
    "workload.job.parameters": "--parameters",
    "workload.job.auth": "--api-key-env",
    "scheduler.slots": "--slots",
    "cost.name": "--sheet",
    "cost": "--cost",
}
"""Member of the specification → the flag that a user of ``aurea chat`` knows it by."""


def chat_command(
    *url: str,
    chat: ChatOptions = ChatOptions(),
    load: ChatLoadOptions = ChatLoadOptions(),
    money: MoneyOptions = MoneyOptions(),
    shards: ShardOptions = ShardOptions(),
    save: Path | None = None,
    output: OutputOptions = OutputOptions(),
    server: str | None = None,
) -> int:
    """Ask a language model at a steady rate, and report time to first token (TTFT), time per output token, and cost.

    Times count from the instant at which a request was meant to begin. Tokens are those that the server reports.
    Exit codes are those of ``aurea run``.

    Parameters
    ----------
    url
        An OpenAI-compatible server, such as http://127.0.0.1:8000 or https://api.example.org/v1.
    save
        Save the specification to this file: ``aurea run FILE`` runs it again, with the same seed.
    server
        Run it on this Aurea server instead, such as http://localhost:5000; its --allow-target must allow the URL. Ctrl-C
        cancels it there.
    """
    check_output(output.output)
    check_output(output.report, "--report")
    check_output(save, "--save")
    # What packages offer is for runs in this process.
    catalog = default_catalog() if server is not None else default_catalog().with_entry_points()
    where = choose_url(url, "http://127.0.0.1:8000")
    document, taken = make_document(where, chat, load, money, catalog, is_remote=server is not None)
    if server is not None:
        return _run_there(server, shards.add_to(document), taken, output, save)
    spec = make_spec(document, catalog, CHAT_FLAGS)
    place = Place(shards.choose(), shards.dask.choose(spec))
    if save is not None:
        save_document(shards.add_to(document), save, taken)
    access = Access(given={each.variable: each.value for each in taken})
    return run_here(spec, catalog, output, access=access, place=place)


def make_document(
    url: str,
    chat: ChatOptions,
    load: ChatLoadOptions,
    money: MoneyOptions,
    catalog: Catalog,
    *,
    is_remote: bool = False,
) -> tuple[dict[str, Any], list[Credential]]:
    """The specification as plain data, with its model and its seed and without credentials; and those. Raises SpecError.

    ``is_remote``: another machine runs it, so that this one asks nobody for a model.
    """
    problems: list[Problem] = []
    job = collect(problems, lambda: chat.make_job(url))
    document = collect(problems, lambda: money.add_to(load.add_to(job)))
    if is_remote and chat.model is None:
        problems.append(Problem("--model", "must be given with --server: the model's server is not asked from here"))
    if is_remote and chat.api_key_env is not None:
        remedy = "is a variable of this machine: with --server give --api-key-secret, the name of a published key"
        problems.append(Problem("--api-key-env", remedy))
    if problems:
        raise SpecError(problems)
    key = None if is_remote else chat.read_key()
    if chat.model is None:
        # Before anybody is asked: what is no URL of a server gets no request, and all mistakes are told at once.
        make_spec(take_credentials(document)[0], catalog, CHAT_FLAGS)
        sent = {**job.get("headers", {})} | ({} if key is None else {"Authorization": f"Bearer {key}"})
        # urllib takes user:password for a part of the host, and shows it where it complains.
        url, userinfo = split_userinfo(job["url"])
        if userinfo and not any(name.lower() == "authorization" for name in sent):
            sent["Authorization"] = f"Basic {base64.b64encode(unquote(userinfo).encode()).decode()}"
        job["model"] = find_only_model(url, sent, verify=not chat.insecure, ca=chat.cacert)
    document.setdefault("seed", secrets.randbits(53))
    return take_credentials(document)


def _run_there(
    server: str, document: dict[str, Any], taken: list[Credential], output: OutputOptions, save: Path | None
) -> int:
    from aurea_server.cli.remote_run import run_on_server  # noqa: PLC0415 - what only a remote run needs is loaded by it

    problems = [Problem(each.purpose, LITERAL_CREDENTIAL) for each in taken]
    if output.report is not None:
        problems.append(Problem("--report", "goes with a run on this machine: aurea report ID --server makes one"))
    if problems:
        raise SpecError(problems)
    whole: Any = inline_files(inline_prompts(document))
    if save is not None:
        save_document(whole, save, [])
    return run_on_server(server, whole, output)
