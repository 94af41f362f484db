"""How many requests must a language-model server answer at once, and what do the tokens cost? Without a server."""

from aurea_engine import (
    Chat,
    Exponential,
    Fifo,
    Gamma,
    LogNormal,
    Poisson,
    Prompts,
    RunSpec,
    SimulatedChat,
    Workload,
    simulate,
)
from aurea_engine.costs import TokenClass, Tokens

# Measured once, with one request at a time: 350 ms to the first token, and 45 ms from each token to the next.
server = SimulatedChat(first_token_time=Gamma(0.35, cv=0.5), token_gap=Gamma(0.045, cv=0.2))
chat = Chat(
    "http://127.0.0.1:8000",
    prompts=Prompts(input=LogNormal(900, cv=1.2), output=Exponential(250)),
    simulated=server,
)
prices = Tokens(
    classes=(TokenClass("input", "0.50", measure="input_tokens"), TokenClass("output", "1.50", measure="output")),
)

print("at once   p95 first token     busy   10,000 requests")
for slots in (16, 20, 24, 32):
    spec = RunSpec(Workload(chat, Poisson(1.3), jobs=10_000), Fifo(slots), cost=prices, clock="virtual", seed=7)
    result = simulate(spec)
    first = result.marks["first_token"].from_intended.p95
    print(f"{slots:7}{first:16.3f} s{result.utilization:9.0%}{float(result.cost.total):12.4f} {result.cost.currency}")

print(f"\n{next(finding.detail for finding in result.findings if finding.code == 'tokens_simulated')}")
