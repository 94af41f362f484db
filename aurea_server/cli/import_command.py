"""``aurea import``: specifications from a curl command, a HAR file or an OpenAPI document."""

from __future__ import annotations

import cyclopts

imports = cyclopts.App(
    name="import",
    help="Make a specification from a curl command, a HAR file or an OpenAPI document.",
)
imports.command(
    "aurea_server.cli.import_curl:import_curl_command", name="curl", help="From a curl command, as browsers copy it."
)
imports.command(
    "aurea_server.cli.import_har:import_har_command", name="har", help="From a HAR file, as browsers save it."
)
imports.command(
    "aurea_server.cli.import_openapi:import_openapi_command", name="openapi", help="From an OpenAPI document in JSON."
)
