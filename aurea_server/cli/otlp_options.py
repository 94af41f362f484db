"""The option of the commands that run something here: to which OpenTelemetry collector metrics are pushed meanwhile."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from typing import Annotated

from cyclopts import Parameter

from aurea_engine import SpecError
from aurea_server.cli.otlp_settings import OtlpSettings, asks_for_push, read_settings


@Parameter(name="*")
@dataclass(frozen=True)
class OtlpOptions:
    """Where metrics go during a run."""

    otlp: Annotated[str | None, Parameter(show_default=False)] = None
    "Push metrics to this OpenTelemetry collector during the run, such as http://localhost:4318."

    def choose(self) -> OtlpSettings | None:
        """What the option and OpenTelemetry's variables say; None pushes nothing. Raises SpecError, but not where variables
        alone ask for it: those may be meant for other programs, and then a line on stderr says that they do not fit.
        """
        if not asks_for_push(self.otlp, os.environ):
            return None
        try:
            return read_settings(self.otlp, os.environ)
        except SpecError as error:
            if self.otlp is not None:
                raise
            sys.stderr.write(f"aurea: metrics are not pushed: {error}\n")
            return None
