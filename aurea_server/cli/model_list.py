"""Which models a server has: ``GET /v1/models``, so that the only one need not be named."""

from __future__ import annotations

import http.client
import json
import ssl
import urllib.error
import urllib.request
from typing import Any

from aurea_engine import Problem, SpecError
from aurea_engine.targets.chat.endpoints import find_base
from aurea_server.cli.number_format import make_printable

MOST_BYTES = 16 << 20
"""Of the list: a gateway tells so much of each of its hundreds of models that one mebibyte does not hold it."""
SHOWN = 12
WAIT = 15.0
"""Seconds that the server may take."""


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A key goes where its user aimed it, and nowhere else."""

    def redirect_request(self, *_: Any) -> None:
        return None


def find_only_model(url: str, headers: dict[str, str], *, verify: bool = True, ca: str | None = None) -> str:
    """The only model of the server at ``url``. Raises SpecError, with their names where there are several."""
    if url.startswith("unix:"):
        raise SpecError(
            [Problem("--model", "must be given: a server behind a Unix socket is not asked for its models")]
        )
    try:
        base = find_base(url)
    except SpecError as error:
        raise SpecError([problem._replace(path="URL") for problem in error.problems]) from None
    names = list_models(f"{base}/models", headers, verify=verify, ca=ca)
    if len(names) == 1:
        return names[0]
    shown = ", ".join(make_printable(name)[:100] for name in names[:SHOWN]) or "none"
    rest = f" and {len(names) - SHOWN:,} more" if len(names) > SHOWN else ""
    raise SpecError([Problem("--model", f"must be given: the server has {len(names):,} models: {shown}{rest}")])


def list_models(url: str, headers: dict[str, str], *, verify: bool, ca: str | None) -> list[str]:
    """The ids of the server's models, each once. Raises SpecError where it does not list any."""
    try:
        context = ssl.create_default_context(cafile=ca)
        if not verify:
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        # No proxy of the environment: the requests of the run take none either.
        opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context), _NoRedirect
        )
        # As bytes, in the encoding of the requests of the run: urllib would refuse what is not Latin-1.
        encoded: dict[str, Any] = {name: value.encode() for name, value in headers.items()}
        with opener.open(urllib.request.Request(url, headers=encoded), timeout=WAIT) as reply:  # noqa: S310 - the user's URL
            content = reply.read(MOST_BYTES)
        listed = json.loads(content)["data"]
        # A gateway may list a model once for each server that it has behind it.
        return list(dict.fromkeys(str(each["id"]) for each in listed))
    except urllib.error.HTTPError as error:
        raise _cannot(f"{url} answered {error.code}") from None
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", None) or error
        raise _cannot(f"{url} cannot be read ({make_printable(str(reason))[:200]})") from None
    except (ValueError, KeyError, TypeError, RecursionError):
        raise _cannot(f"{url} lists no models") from None


def _cannot(what: str) -> SpecError:
    return SpecError([Problem("--model", f"must be given: {make_printable(what)}")])
