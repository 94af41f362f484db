"""What Locust's users do in the rows on HTTP: ``locust -f benchmarks/http_locust.py Plain``, or ``Checked``."""

from __future__ import annotations

from itertools import count

from locust import FastHttpUser, constant, task

NUMBERS = count()


class Plain(FastHttpUser):
    """A GET, and at once the next."""

    wait_time = constant(0)

    @task
    def get(self) -> None:
        self.client.get("/")


class Checked(FastHttpUser):
    """A GET of its own URL; an answer without status "ok" has failed. One name, so that its statistics stay one line."""

    wait_time = constant(0)

    @task
    def get(self) -> None:
        with self.client.get(f"/item?id={next(NUMBERS)}", name="/item", catch_response=True) as answer:
            if answer.json()["status"] != "ok":
                answer.failure("status is not ok")
