"""``aurea import``: requests from elsewhere become specifications."""

from __future__ import annotations

import cyclopts

imports = cyclopts.App(
    name="import",
    help="Make a specification of requests from elsewhere: a curl command, a HAR file, an OpenAPI document.",
)
imports.command(
    "aurea_server.cli.import_curl:import_curl_command", name="curl", help="Of a curl command, as browsers copy it."
)
imports.command(
    "aurea_server.cli.import_har:import_har_command", name="har", help="Of a HAR file, as browsers save it."
)
imports.command(
    "aurea_server.cli.import_openapi:import_openapi_command", name="openapi", help="Of an OpenAPI document in JSON."
)
