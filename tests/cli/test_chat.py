"""``aurea chat``: a server and a model become a run, tokens become a bill, and no key is left anywhere."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from aurea_engine import (
    Constant,
    ConstantRate,
    Observer,
    Progress,
    RunSpec,
    SpecError,
    Workload,
    default_catalog,
    simulate,
    spec_from_dict,
)
from aurea_engine.costs import Sheet
from aurea_engine.processes.messages import make_snapshot
from aurea_engine.targets.chat.endpoints import Endpoint, find_endpoint
from aurea_engine.targets.chat.prompts.listed import list_prompts
from aurea_engine.targets.chat.prompts.member import Prompts
from aurea_server.cli.chat import make_document
from aurea_server.cli.chat_options import ChatOptions, inline_prompts
from aurea_server.cli.load_options import ChatLoadOptions
from aurea_server.cli.money_options import MoneyOptions
from aurea_server.cli.progress_line import BESIDE, list_figures
from aurea_server.cli.target_line import list_targets
from aurea_server.cli.token_figures import list_tokens, list_tokens_of, list_tokens_there
from aurea_server.settings.settings import Settings
from tests.cli.test_runs import Serving
from tests.planned_chat import PlannedChat
from tests.targets.model_double import answer_as_model
from tests.targets.recording_server import RecordingServer, reply

PLANTED = "Pl4nted"
RAN = (0, 6)
"""Exit codes of a run without objectives: on a busy machine it may be invalid, and have done all its jobs."""
FAST = ("--jobs", "4", "--rate", "1000", "--prompt", "hi")


@pytest.fixture
def model(target: RecordingServer) -> RecordingServer:
    target.answer = answer_as_model()
    return target


def make_job(**options: Any) -> dict[str, Any]:
    return ChatOptions(**options).make_job("h:8000")


def run_and_read(aurea: Callable[..., Any], tmp_path: Path, *arguments: object) -> dict[str, Any]:
    file = tmp_path / "result.json"
    code, _, err = aurea("chat", *arguments, "-o", file)
    assert code in RAN, err
    document: dict[str, Any] = json.loads(file.read_bytes())
    return document


# --- Options ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "members"),
    [
        ({}, {"kind": "chat", "url": "http://h:8000"}),
        ({"model": "m", "max_tokens": 9, "no_stream": True}, {"model": "m", "max_tokens": 9, "stream": False}),
        ({"endpoint": "completions", "timeout": "60s"}, {"endpoint": "completions", "timeout": "60s"}),
        ({"prompt": ["a", "b"]}, {"prompts": ["a", "b"]}),
        ({"input_tokens": "512", "exact": True}, {"prompts": {"input": 512, "exact": True}}),
        ({"output_tokens": '{"kind": "uniform", "low": 1, "high": 9}'},
         {"prompts": {"output": {"kind": "uniform", "low": 1, "high": 9}}}),
        ({"prefix_tokens": "500x8"}, {"prompts": {"prefix": {"length": 500, "groups": 8}}}),
        ({"prefix_tokens": "500"}, {"prompts": {"prefix": {"length": 500}}}),
        ({"parameters": '{"temperature": 0}'}, {"parameters": {"temperature": 0}}),
        ({"no_reuse": True, "connections": 4}, {"reuse": False, "connections": 4}),
        ({"header": ["X-Team: us"], "insecure": True}, {"headers": {"X-Team": "us"}, "tls": {"verify": False}}),
        ({"api_key_env": "KEY"}, {"auth": {"bearer": {"env": "KEY"}}}),
        ({"api_key_secret": "key"}, {"auth": {"bearer": {"secret": "key"}}}),
    ],
)  # fmt: skip
def test_flags_become_members(options: dict[str, Any], members: dict[str, Any]) -> None:
    job = make_job(**options)
    assert {name: job.get(name) for name in members} == members


@pytest.mark.parametrize("start", ["h:8000", "http://h:8000", "https://completions/chat", "unix:/m.sock:"])
@pytest.mark.parametrize(
    ("path", "endpoint"),
    [("", None), ("/v1", None), ("/v1/completions", "completions"), ("/a/completions/", "completions"),
     ("/v1/chat/completions", "chat"), ("/completions/v1", None)],
)  # fmt: skip
def test_a_url_may_name_the_endpoint(start: str, path: str, endpoint: Endpoint | None) -> None:
    """It is used as it is, unless the other is asked for by its name."""
    assert ChatOptions().make_job(start + path).get("endpoint") == endpoint
    assert ChatOptions(endpoint="chat").make_job(start + path)["endpoint"] == "chat"
    whole = f"http://h{path}".rstrip("/")
    if endpoint is not None:
        assert find_endpoint(whole, endpoint) == whole


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"prompt": ["a"], "prompts": "f"}, "--prompts: cannot stand beside --prompt"),
        ({"prompt": ["a"], "input_tokens": "5"}, "--input-tokens: cannot stand beside --prompt"),
        ({"prompts": "/nowhere/at/all"}, "--prompts: must be a file that can be read"),
        ({"prefix_tokens": "many"}, "--prefix-tokens: must be a number of tokens"),
        ({"parameters": "[]"}, "--parameters: must be an object"),
        ({"parameters": "{"}, "--parameters: "),
        ({"output_tokens": "{"}, "--output-tokens: "),
        ({"output_tokens": "9", "max_tokens": 9}, "--max-tokens: cannot stand beside --output-tokens"),
        ({"header": ["none"]}, "--header: must be NAME: VALUE"),
        ({"api_key_env": "A", "api_key_secret": "B"}, "--api-key-secret: cannot stand beside --api-key-env"),
    ],
)
def test_wrong_flags_are_named(options: dict[str, Any], said: str) -> None:
    with pytest.raises(SpecError) as refused:
        make_job(**options)
    assert said in str(refused.value)


@pytest.mark.parametrize(
    ("money", "cost"),
    [
        ({}, {"kind": "free"}),
        ({"sheet": "example-model"}, {"kind": "sheet", "name": "example-model"}),
        ({"cost": '{"kind": "per_job", "price": "1"}'}, {"kind": "per_job", "price": "1"}),
        (
            {"price": "0.25/2"},
            {
                "kind": "tokens",
                "classes": [
                    {"name": "input", "price": "0.25", "measure": "input_tokens"},
                    {"name": "output", "price": "2", "measure": "output"},
                ],
            },
        ),
        (
            {"price": "0.25, 0.025, 2"},
            {
                "kind": "tokens",
                "classes": [
                    {"name": "input", "price": "0.25", "measure": "input"},
                    {"name": "cached", "price": "0.025", "measure": "cached"},
                    {"name": "output", "price": "2", "measure": "output"},
                ],
            },
        ),
    ],
)
def test_prices_become_a_cost_model(money: dict[str, Any], cost: dict[str, Any]) -> None:
    document = MoneyOptions(**money).add_to({})
    assert json.loads(json.dumps(document["cost"], default=int)) == cost


@pytest.mark.parametrize(
    ("money", "said"),
    [
        ({"price": "1"}, "--price: must be INPUT,OUTPUT"),
        ({"price": "1,2,3,4"}, "--price: must be INPUT,OUTPUT"),
        ({"price": "1,2", "sheet": "x"}, "--sheet: cannot stand beside --price"),
        ({"budget": "1"}, "--budget: needs prices"),
    ],
)
def test_wrong_prices_are_named(money: dict[str, Any], said: str) -> None:
    with pytest.raises(SpecError, match=said):
        MoneyOptions(**money).add_to({})


def test_a_budget_is_an_objective_that_ends_the_run() -> None:
    objectives = MoneyOptions(price="1,2", budget="0.50").add_to({"objectives": [{"metric": "p"}]})["objectives"]
    assert objectives[1] == {"metric": "cost", "at_most": Fraction(1, 2), "abort": True}


def test_defaults_are_few_and_long_requests() -> None:
    document, _ = make_document(
        "h", ChatOptions(model="m"), ChatLoadOptions(slots=3), MoneyOptions(), default_catalog()
    )
    assert document["workload"]["arrivals"] == {"kind": "constant", "rate": 1}
    assert document["workload"]["duration"] == "30s"
    assert document["scheduler"] == {"kind": "fifo", "slots": 3}
    spec_from_dict(document)


def test_prompts_of_a_file_are_sent_to_a_server_in_its_place(tmp_path: Path) -> None:
    file = tmp_path / "prompts.jsonl"
    file.write_text('"hi"\n\n{"prompt": "ho", "max_tokens": 3}\n')
    job = make_job(prompts=str(file))
    inlined = inline_prompts({"workload": {"job": job}})["workload"]["job"]
    assert inlined["prompts"] == ["hi", {"prompt": "ho", "max_tokens": 3}]
    file.write_text('"hi"\n{\n')
    with pytest.raises(SpecError, match=r"--prompts: .*, line 2 is not JSON"):
        inline_prompts({"workload": {"job": job}})


@pytest.mark.parametrize(
    ("name", "content", "prompts"),
    [
        ("a.jsonl", '"a\u2028b\u0085c"\n"d"\n'.encode(), ["a\u2028b\u0085c", "d"]),
        ("a.jsonl", b'\xef\xbb\xbf"hi"\r\n', ["hi"]),
        ("a.json", b'[{"conversations": [{"from": "human", "value": "hi"}, {"from": "gpt", "value": "ho"}]}]', ["hi"]),
        ("a.jsonl", b'"\xff"\n', None),
    ],
)
def test_a_file_is_the_same_prompts_here_and_on_a_server(
    name: str, content: bytes, prompts: list[str] | None, tmp_path: Path
) -> None:
    """``prompts``: None where the file holds none."""
    file = tmp_path / name
    file.write_bytes(content)
    document = {"workload": {"job": make_job(prompts=str(file))}}
    if prompts is None:
        with pytest.raises(SpecError, match="--prompts: "):
            inline_prompts(document)
        return
    inlined = Prompts.coerce(inline_prompts(document)["workload"]["job"]["prompts"])
    assert [each.prompt for each in inlined.of or ()] == prompts
    assert list(list_prompts(Prompts(file=str(file)))) == list(inlined.of or ())


# --- Runs ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["", "/", "/v1", "/v1/", "/v1/chat/completions"])
def test_a_run_bills_what_the_server_reported(
    path: str, aurea: Callable[..., Any], model: RecordingServer, tmp_path: Path
) -> None:
    """The only model need not be named; six tokens of input, four cached and two of output for each of four requests."""
    document = run_and_read(aurea, tmp_path, f"127.0.0.1:{model.port}{path}", *FAST, "--price", "3,0.30,15")
    assert document["spec"]["workload"]["job"]["model"] == "tiny"
    asked = [json.loads(each.body) for each in model.received if each.method == "POST"]
    assert len(asked) == 4
    assert {each["model"] for each in asked} == {"tiny"}
    total = 4 * (Fraction(6 * 3, 10**6) + Fraction(4 * 3, 10**7) + Fraction(2 * 15, 10**6))
    assert Fraction(document["cost"]["exact"]) == total
    assert [line["name"] for line in document["cost"]["lines"]] == ["input", "cached", "output"]


def test_several_models_are_listed(aurea: Callable[..., Any], target: RecordingServer) -> None:
    target.answer = answer_as_model(["a", "b\x1b[31m", *(f"m{i}" for i in range(20))])
    code, out, err = aurea("chat", target.url(""))
    assert (code, out) == (2, "")
    assert "--model: must be given: the server has 22 models: a, b" in err
    assert err.rstrip().endswith("and 10 more")
    assert "\x1b" not in err


def test_a_list_of_models_may_be_long(aurea: Callable[..., Any], target: RecordingServer) -> None:
    """A gateway describes each of its models: only their names are shown."""
    listed = [{"id": f"m{i}", "description": "x" * 4096} for i in range(500)]
    target.answer = lambda _: reply(json.dumps({"data": listed}))
    code, _, err = aurea("chat", target.url(""))
    assert code == 2
    assert "the server has 500 models: m0, m1, m2" in err


def test_a_model_that_is_listed_twice_is_one(
    aurea: Callable[..., Any], target: RecordingServer, tmp_path: Path
) -> None:
    target.answer = answer_as_model(["tiny", "tiny", "tiny"])
    document = run_and_read(aurea, tmp_path, target.url(""), *FAST)
    assert document["spec"]["workload"]["job"]["model"] == "tiny"


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (reply("no", 404), "answered 404"),
        (reply("<html>"), "lists no models"),
        (reply('{"data": []}'), "the server has 0 models: none"),
        (reply("", 302, "Location: http://127.0.0.1:1/"), "answered 302"),
    ],
)
def test_a_server_without_a_list_needs_a_model(
    answer: bytes, said: str, aurea: Callable[..., Any], target: RecordingServer
) -> None:
    target.answer = lambda _: answer
    code, _, err = aurea("chat", target.url(""))
    assert code == 2
    assert said in err
    assert "--model: must be given" in err


def test_the_line_of_the_target_has_its_whole_path() -> None:
    chat = {"kind": "chat", "url": "http://h:8000", "endpoint": "completions"}
    assert list(list_targets([chat])) == ["POST http://h:8000/v1/completions"]


def test_no_server_is_one_line(aurea: Callable[..., Any]) -> None:
    code, _, err = aurea("chat", "http://127.0.0.1:9")
    assert code == 2
    assert "--model: must be given: http://127.0.0.1:9/v1/models cannot be read" in err


@pytest.mark.parametrize(
    "url", ["http://h/?a=1", "http://{{row.host}}/", "http://h:99999999", "http://[", "ftp://h", "h h"]
)
def test_what_is_no_url_of_a_server_is_one_line(url: str, aurea: Callable[..., Any]) -> None:
    for more in ((), ("--model", "m")):
        code, out, err = aurea("chat", url, *FAST, *more)
        assert (code, out) == (2, "")
        assert err.startswith("aurea: this cannot be done:\n")
        assert "URL" in err


def test_a_key_goes_to_the_server_and_nowhere_else(
    aurea: Callable[..., Any], model: RecordingServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MODEL_KEY", PLANTED)
    saved = tmp_path / "saved.json"
    document = run_and_read(aurea, tmp_path, model.url(""), *FAST, "--api-key-env", "MODEL_KEY", "--save", saved)
    assert {each.header("Authorization") for each in model.received} == {f"Bearer {PLANTED}"}
    assert len(model.received) == 5
    assert PLANTED not in json.dumps(document)
    assert PLANTED not in saved.read_text()
    assert json.loads(saved.read_bytes())["workload"]["job"]["auth"] == {"bearer": {"env": "MODEL_KEY"}}


def test_a_password_in_the_url_is_sent_and_never_shown(
    aurea: Callable[..., Any], model: RecordingServer, tmp_path: Path
) -> None:
    """Also where the server is asked for its models. What is sent is decoded, and a header of the user's wins."""
    url = f"http://bob:{PLANTED}%40@127.0.0.1:{model.port}"
    document = run_and_read(aurea, tmp_path, url, *FAST)
    basic = base64.b64encode(f"bob:{PLANTED}@".encode()).decode()
    assert {each.header("Authorization") for each in model.received} == {f"Basic {basic}"}
    assert [each.method for each in model.received].count("GET") == 1
    assert PLANTED not in json.dumps(document)
    model.received.clear()
    run_and_read(aurea, tmp_path, url, *FAST, "-H", "authorization: Bearer mine")
    assert {each.header("Authorization") for each in model.received} == {"Bearer mine"}


@pytest.mark.parametrize("where", ["127.0.0.1:9", "127.0.0.1:9/v1", "[::1]:9"])
def test_a_password_is_in_no_message(where: str, aurea: Callable[..., Any]) -> None:
    code, out, err = aurea("chat", f"http://bob:{PLANTED}@{where}")
    assert (code, out) == (2, "")
    assert f"http://{where}" in err
    assert PLANTED not in err


def test_a_key_that_is_not_set_is_said(aurea: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_SUCH_KEY", raising=False)
    code, _, err = aurea("chat", "h", "--api-key-env", "NO_SUCH_KEY")
    assert (code, "--api-key-env: names no environment variable that is set" in err) == (2, True)


@pytest.mark.parametrize("end", ["\r", "\n", "\x7f", "\t"])
@pytest.mark.parametrize("more", [(), ("--model", "m")])
def test_a_key_with_a_line_break_is_said(
    end: str, more: tuple[str, ...], aurea: Callable[..., Any], model: RecordingServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before anybody is asked, and whether a model was named or not."""
    monkeypatch.setenv("MODEL_KEY", PLANTED + end)
    code, _, err = aurea("chat", model.url(""), *FAST, *more, "--api-key-env", "MODEL_KEY")
    assert (code, model.received) == (2, [])
    assert "--api-key-env: names a variable with control characters or line breaks in its value" in err
    assert PLANTED not in err


def test_a_key_may_have_any_characters(
    aurea: Callable[..., Any], model: RecordingServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are sent the same to the list of models as to the model."""
    monkeypatch.setenv("MODEL_KEY", "ключ€")
    run_and_read(aurea, tmp_path, model.url(""), *FAST, "--api-key-env", "MODEL_KEY")
    assert {each.header("Authorization") for each in model.received} == {"Bearer ключ€".encode().decode("latin-1")}
    assert len(model.received) == 5


def test_mistakes_are_named_by_their_flags(aurea: Callable[..., Any]) -> None:
    code, _, err = aurea("chat", "h", "--model", "m", "--max-tokens", "0", "--sheet", "nothing", "--rate", "-1")
    assert code == 2
    for flag in ("--max-tokens", "--sheet", "--rate"):
        assert f"  {flag}: must be" in err


def test_good_answers_have_a_price(aurea: Callable[..., Any], model: RecordingServer) -> None:
    """All four are good by a bound that none misses, so both prices are the same: 49.2 millionths an answer."""
    code, out, err = aurea(
        "chat", model.url(""), *FAST, "--price", "3,0.30,15", "--objective", "p50 output_tokens <= 5"
    )
    assert code in RAN, err
    assert "0.0001968 USD, 49.2000 USD per million completed jobs, 49.2000 USD per million good" in " ".join(
        out.split()
    )


def test_a_report_page_has_parity(aurea: Callable[..., Any], model: RecordingServer, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    run_and_read(aurea, tmp_path, model.url(""), *FAST, "--report", page, "--sheet", "example-model")
    assert "What other tools would report" in page.read_text()


def test_a_remote_run_asks_nobody_from_here(aurea: Callable[..., Any]) -> None:
    code, _, err = aurea("chat", "h", "--server", "http://127.0.0.1:9", "--api-key-env", "X")
    assert code == 2
    assert "--model: must be given with --server" in err
    assert "--api-key-env: is a variable of this machine" in err


@pytest.mark.service
def test_a_server_runs_it_with_a_key_of_its_operator(
    aurea: Callable[..., Any], model: RecordingServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same result, and the key is known to the server alone. Prompts of a file of this machine go along."""
    monkeypatch.setenv("THERE", PLANTED)
    monkeypatch.delenv("AUREA_SERVER", raising=False)
    where = f"127.0.0.1:{model.port}"
    secret = f"key=env:THERE@{where}"
    server = Serving(Settings(data=str(tmp_path / "data"), allow_target=(where,), secret=(secret,)))
    try:
        file = tmp_path / "prompts.jsonl"
        file.write_text('"hi"\n"ho"\n')
        monkeypatch.delenv("THERE")
        there = (*FAST[:4], "--prompts", file, "--server", server.url, "--api-key-secret", "key", "--model", "tiny")
        document = run_and_read(aurea, tmp_path, model.url(""), *there, "--price", "3,0.30,15")
    finally:
        server.stop()
    assert {each.header("Authorization") for each in model.received} == {f"Bearer {PLANTED}"}
    assert Fraction(document["cost"]["exact"]) == 4 * Fraction(18 + 1 + 30, 10**6) + 4 * Fraction(2, 10**7)
    assert PLANTED not in json.dumps(document)


# --- The live line ---------------------------------------------------------------------------------------------------


def test_the_line_has_tokens_and_money() -> None:
    """Here from the report of a run, on a server from an event of it."""
    told: list[Progress] = []

    class Watch(Observer):
        def on_progress(self, progress: Progress) -> None:
            told.append(progress)

    workload = Workload(PlannedChat(Constant(1)), ConstantRate(100), jobs=50_000)
    simulate(RunSpec(workload, cost=Sheet(name="example-model"), seed=0), [Watch()])
    assert list_tokens_of(told[-1])[0] == "first token p99 100 ms"
    assert list_tokens_of(told[-1])[1].endswith(" tok/s")
    so_far = make_snapshot(told[-1], "sheet").figures()
    assert list_tokens_there(so_far)[:2] == list_tokens_of(told[-1])
    assert list_tokens(0.12, 50, 2.0) == ["first token p99 120 ms", "25 tok/s"]
    assert list_tokens(None, None, 2.0) == []
    event = {"elapsed": 2.0, "cost": 0.5, "so_far": {"first_token_p99": 0.1, "output_tokens": 4, "currency": "EUR"}}
    assert list_tokens_there(event) == ["first token p99 100 ms", "2 tok/s", "0.5000 EUR"]
    assert list_tokens_there({"elapsed": 2.0, "cost": 0.5}) == []
    line = list_figures(1234.5, 0.2, 5.0, ["200: 9"], ["first token p99 120 ms", "2,375 tok/s", "0.0067 USD"])
    assert line == ["first token p99 120 ms", "2,375 tok/s", "0.0067 USD", "1,234/s", "200: 9", "5 s left"]
    # The least that is left beside a name, the bar and the share on a terminal of 80 columns.
    assert len("  ".join(line[:3])) <= 80 - len("running") - BESIDE


@pytest.mark.parametrize("name", ["result.json", "run.aurea"])
def test_a_stored_run_is_priced_again(
    name: str, aurea: Callable[..., Any], model: RecordingServer, tmp_path: Path
) -> None:
    """By a sheet: 6 tokens of input at 0.50, 4 cached at 0.05 and 2 of output at 1.50, each of four times."""
    file = tmp_path / name
    code, _, err = aurea("chat", model.url(""), *FAST, "--price", "3,0.30,15", "-o", file)
    assert code in RAN, err
    code, out, err = aurea("reprice", file, "--cost", '{"kind": "sheet", "name": "example-model"}', "--json")
    assert code == 0, err
    (bill,) = json.loads(out).values()
    assert Fraction(bill["exact"]) == 4 * (Fraction(6 * 5 + 2 * 15, 10**7) + Fraction(4 * 5, 10**8))
