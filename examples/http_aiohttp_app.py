"""Load-tests a small web shop, in a process of its own: requests with checks and rows of data, then whole visits as flows.

``python examples/http_aiohttp_app.py serve`` only serves the shop, on http://127.0.0.1:8080 or another port that follows, to
try other commands on it.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping
from multiprocessing import get_context
from multiprocessing.connection import Connection
from secrets import token_hex
from typing import Any

from aiohttp import web

from aurea_engine import RunResult, run_sync, spec_from_dict

PRODUCTS = {"1": "lamp", "2": "chair", "3": "desk"}


class Shop:
    """Three products, one of them sold out, and orders for those who have logged in."""

    def __init__(self) -> None:
        self.tokens: dict[str, str] = {}
        self.orders = 0

    async def login(self, request: web.Request) -> web.Response:
        asked, token = await request.json(), token_hex(8)
        self.tokens[token] = asked["user"]
        return web.json_response({"token": token})

    async def product(self, request: web.Request) -> web.Response:
        number = request.match_info["number"]
        await asyncio.sleep(0.005)  # the shop's database
        if number not in PRODUCTS:
            raise web.HTTPNotFound
        return web.json_response({"id": number, "name": PRODUCTS[number], "in_stock": number != "3"})

    async def order(self, request: web.Request) -> web.Response:
        user = self.tokens.get(request.headers.get("X-Session", ""))
        if user is None:
            raise web.HTTPUnauthorized
        await asyncio.sleep(0.02)  # the shop's bank
        self.orders += 1
        return web.json_response({"order": self.orders, "user": user}, status=201)


def make_app() -> web.Application:
    app, shop = web.Application(), Shop()
    app.router.add_post("/login", shop.login)
    app.router.add_get("/products/{number}", shop.product)
    app.router.add_post("/orders", shop.order)
    return app


async def serve(port: int, started: Connection | None = None) -> None:
    runner = web.AppRunner(make_app(), access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    host, port = runner.addresses[0][:2]
    if started is None:
        print(f"the shop is open on http://{host}:{port}", flush=True)
    else:
        started.send(f"http://{host}:{port}")
    await asyncio.Event().wait()


def serve_for_ever(port: int, started: Connection | None = None) -> None:
    asyncio.run(serve(port, started))


def look_at_products(shop: str) -> dict[str, Any]:
    """A product for each job, in the order of the rows. Desks are sold out, and there is no fourth product."""
    return {
        "kind": "http",
        "url": f"{shop}/products/{{{{row.number}}}}",
        "data": {"rows": [{"number": number} for number in ("1", "2", "3", "4")]},
        "expect": {"status": [200], "json": {"/in_stock": True}},
    }


def visit(shop: str) -> dict[str, Any]:
    """Log in, look at a product for a moment, and order it. One job is the whole visit."""
    return {
        "kind": "flow",
        "data": {"rows": [{"user": user, "number": number} for user in ("ada", "bob") for number in ("1", "2")]},
        "steps": [
            {
                "name": "login",
                "url": f"{shop}/login",
                "method": "POST",
                "json": {"user": "{{row.user}}"},
                "extract": {"token": {"json": "/token"}},
            },
            {
                "name": "look",
                "url": f"{shop}/products/{{{{row.number}}}}",
                "expect": {"json": {"/in_stock": True}},
            },
            {
                "name": "order",
                "think": {"kind": "uniform", "low": 0.1, "high": 0.3},
                "url": f"{shop}/orders",
                "method": "POST",
                "headers": {"X-Session": "{{login.token}}"},
                "json": {"number": "{{row.number}}"},
                "expect": {"status": [201]},
            },
        ],
    }


def load(job: dict[str, Any], rate: float, jobs: int) -> RunResult:
    workload = {"job": job, "arrivals": {"kind": "constant", "rate": rate}, "jobs": jobs}
    return run_sync(spec_from_dict({"workload": workload, "seed": 7}))


def show(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{word} ({jobs})" for word, jobs in sorted(counts.items()))


def main() -> None:
    ours, theirs = get_context("spawn").Pipe()
    server = get_context("spawn").Process(target=serve_for_ever, args=(0, theirs), daemon=True)
    server.start()
    shop = ours.recv()

    products = load(look_at_products(shop), rate=200, jobs=400)
    print(f"products: {products.counts.completed} of {products.counts.arrived} completed")
    print(f"  statuses: {show(products.statuses)}")
    print(f"  failures: {show(products.failures)}")
    visits = load(visit(shop), rate=20, jobs=40)
    print(f"visits: {visits.counts.completed} of {visits.counts.arrived} completed")
    for group in visits.groups:
        print(f"  {group.name}: {group.counts.completed} completed")
    server.terminate()
    server.join()


if __name__ == "__main__":
    if sys.argv[1:2] == ["serve"]:
        serve_for_ever(int((sys.argv[2:] or ["8080"])[0]))
    else:
        main()
