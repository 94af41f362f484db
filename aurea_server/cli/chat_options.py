"""The options of ``aurea chat`` about requests: what is asked of which model → a job of kind ``chat`` as plain data."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import msgspec
from cyclopts import Parameter

from aurea_engine import Problem, SpecError, parse_json
from aurea_engine.targets.chat.endpoints import read_endpoint
from aurea_engine.targets.chat.prompts.listed import read_lines
from aurea_engine.targets.chat.prompts.member import Prompts
from aurea_server.cli.http_options import FLAG, MANY, collect, maybe_quantity, without_none
from aurea_server.cli.run_options import parse_quantity, parse_whole

_Whole = Annotated[int | None, Parameter(converter=parse_whole)]
_PREFIX = re.compile(r"(?P<length>[0-9]{1,9})(?:[x×](?P<groups>[0-9]{1,6}))?", re.ASCII)


@Parameter(name="*")
@dataclass(frozen=True)
class ChatOptions:
    """What is asked, and of whom."""

    model: str | None = None
    "Name of the model; the only one that the server lists if not given."

    api_key_env: str | None = None
    "Environment variable that holds the API key, such as OPENAI_API_KEY; the key is never written to a file or result."

    api_key_secret: str | None = None
    "With --server: name under which the server's operator has published the API key."

    prompt: Annotated[list[str], MANY] = field(default_factory=list)
    "A prompt; may be given more than once, and they are then sent in turn."

    prompts: str | None = None
    "File of prompts, JSONL: each line a text, or an object with messages or prompt, and max_tokens; or ShareGPT's JSON."

    input_tokens: str | None = None
    "Tokens of each synthetic prompt, made of common words; or a distribution as JSON. 256 if no prompts are given."

    output_tokens: str | None = None
    "Most tokens of each answer to such a prompt, or a distribution as JSON; as --max-tokens if not given."

    prefix_tokens: str | None = None
    "Tokens that prompts begin with, such as 500, one text for all; 500x8: eight different prefixes; each request uses one."

    exact: Annotated[bool, FLAG] = False
    "Ask for no shorter answers than --output-tokens, which vLLM and SGLang understand."

    max_tokens: _Whole = None
    "Most tokens of an answer, for prompts without their own limit; 128 if not given."

    endpoint: str | None = None
    "chat, or completions for /v1/completions; the one that the URL ends with, or chat, if not given."

    no_stream: Annotated[bool, FLAG] = False
    "Ask for answers in one piece: without TTFT and token gaps."

    parameters: Annotated[str | None, Parameter(allow_leading_hyphen=True)] = None
    'More members of each request, as JSON, such as {"temperature": 0}.'

    header: Annotated[list[str], Parameter(name=["--header", "-H"]), MANY] = field(default_factory=list)
    "A header, NAME: VALUE; may be given more than once. Credentials are kept out of results and files."

    timeout: str | None = None
    "How long a request may take, such as 60s; 120s if not given."

    connect_timeout: str | None = None
    "How long opening a connection may take, within --timeout; 10s if not given."

    connections: _Whole = None
    "How many connections may be open at once; a request without one waits. As many as are needed if not given."

    no_reuse: Annotated[bool, Parameter(name=["--no-reuse", "--disable-keepalive"]), FLAG] = False
    "Open a connection for each request, for servers that silently close idle connections (llama.cpp's)."

    insecure: Annotated[bool, Parameter(name=["--insecure", "-k"]), FLAG] = False
    "Do not check the server's certificate."

    cacert: str | None = None
    "File with the certificate authorities by which the server's certificate is checked."

    def make_job(self, url: str) -> dict[str, Any]:
        """The members of the job, without a model where none is given. Raises SpecError with all problems together."""
        problems: list[Problem] = []
        prompts = collect(problems, self._make_prompts)
        headers = collect(problems, self._make_headers)
        auth = collect(problems, self._make_auth)
        parameters = collect(problems, self._make_parameters)
        if problems:
            raise SpecError(problems)
        tls = without_none({"ca": self.cacert, "verify": False if self.insecure else None})
        members = {
            "kind": "chat",
            "url": url if "://" in url or url.startswith("unix:") else f"http://{url}",
            "endpoint": self.endpoint or read_endpoint(url),
            "stream": False if self.no_stream else None,
            "model": self.model,
            "max_tokens": self.max_tokens,
            "timeout": maybe_quantity(self.timeout),
            "connect_timeout": maybe_quantity(self.connect_timeout),
            "connections": self.connections,
            "reuse": False if self.no_reuse else None,
        }
        more = {"headers": headers, "auth": auth, "parameters": parameters, "tls": tls}
        return without_none(members) | prompts | {name: value for name, value in more.items() if value}

    def _make_prompts(self) -> dict[str, Any]:
        shape: dict[str, Any] = {"--input-tokens": self.input_tokens, "--output-tokens": self.output_tokens}
        shape |= {"--prefix-tokens": self.prefix_tokens, "--exact": self.exact or None}
        shaped = [flag for flag, given in shape.items() if given is not None]
        listed = [flag for flag, given in (("--prompt", self.prompt), ("--prompts", self.prompts)) if given]
        if len(listed) > 1 or (listed and shaped):
            other = [*listed, *shaped][1]
            raise SpecError([Problem(other, f"cannot stand beside {listed[0]}: prompts are given, or made by length")])
        if self.prompt:
            return {"prompts": list(self.prompt)}
        if self.prompts is not None:
            if not os.access(self.prompts, os.R_OK) or Path(self.prompts).is_dir():
                raise SpecError([Problem("--prompts", "must be a file that can be read", ascii(self.prompts)[:200])])
            return {"prompts": {"file": self.prompts}}
        if self.output_tokens is not None and self.max_tokens is not None:
            raise SpecError([Problem("--max-tokens", "cannot stand beside --output-tokens: give one or the other")])
        if not shaped:
            return {}
        lengths = {
            "input": _read_length("--input-tokens", self.input_tokens),
            "output": _read_length("--output-tokens", self.output_tokens),
        }
        prefix = None if self.prefix_tokens is None else _read_prefix(self.prefix_tokens)
        return {"prompts": without_none({**lengths, "prefix": prefix, "exact": True if self.exact else None})}

    def _make_headers(self) -> dict[str, str]:
        headers: dict[str, str] = {}
        for line in self.header:
            name, colon, value = line.partition(":")
            if not colon:
                raise SpecError([Problem("--header", "must be NAME: VALUE", ascii(name)[:40])])
            headers[name.strip()] = value.strip()
        return headers

    def _make_auth(self) -> dict[str, Any]:
        if self.api_key_env is not None and self.api_key_secret is not None:
            raise SpecError([Problem("--api-key-secret", "cannot stand beside --api-key-env: a request has one key")])
        if self.api_key_env is not None:
            return {"bearer": {"env": self.api_key_env}}
        return {} if self.api_key_secret is None else {"bearer": {"secret": self.api_key_secret}}

    def _make_parameters(self) -> dict[str, Any]:
        if self.parameters is None:
            return {}
        try:
            read = parse_json(self.parameters)
        except SpecError as error:
            raise SpecError([problem._replace(path="--parameters") for problem in error.problems]) from None
        if not isinstance(read, dict):
            raise SpecError([Problem("--parameters", 'must be an object, such as {"temperature": 0}')])
        return read

    def read_key(self, environ: Mapping[str, str] = os.environ) -> str | None:
        """The API key, None where none is wanted. Raises SpecError where the variable is empty, or holds no key."""
        if self.api_key_env is None:
            return None
        if not (key := environ.get(self.api_key_env, "")):
            problem = "names no environment variable that is set"
            raise SpecError([Problem("--api-key-env", problem, ascii(self.api_key_env)[:80])])
        # Files of Windows leave a carriage return at its end, which no eye sees.
        if any(ord(character) < 32 or ord(character) == 127 for character in key):
            problem = "names a variable with control characters or line breaks in its value"
            raise SpecError([Problem("--api-key-env", problem, ascii(self.api_key_env)[:80])])
        return key


def _read_length(flag: str, text: str | None) -> Any:
    """A number of tokens, or a distribution as JSON."""
    if text is None:
        return None
    if not text.lstrip().startswith("{"):
        return parse_quantity(text)
    try:
        return parse_json(text)
    except SpecError as error:
        raise SpecError([problem._replace(path=flag) for problem in error.problems]) from None


def _read_prefix(text: str) -> dict[str, int]:
    found = _PREFIX.fullmatch(text)
    if found is None:
        raise SpecError(
            [Problem("--prefix-tokens", "must be a number of tokens, such as 500, or 500x8", ascii(text)[:40])]
        )
    return {"length": int(found["length"])} | ({"groups": int(found["groups"])} if found["groups"] else {})


def inline_prompts(document: dict[str, Any]) -> dict[str, Any]:
    """``document`` with the prompts of a file in its place: a server reads no file of this machine. Raises SpecError."""
    job = document["workload"]["job"]
    prompts = job.get("prompts")
    if not isinstance(prompts, dict) or "file" not in prompts:
        return document
    given = {name: value for name, value in prompts.items() if name != "file"}
    # By the engine's reader, so that the same file is the same prompts wherever it is read.
    try:
        read = [msgspec.json.decode(line) for line in read_lines(Prompts(file=prompts["file"]))]
    except SpecError as error:
        raise SpecError([problem._replace(path="--prompts") for problem in error.problems]) from None
    job = {**job, "prompts": {**given, "of": read} if given else read}
    return {**document, "workload": {**document["workload"], "job": job}}
