"""Options of the commands that run something: on which Dask cluster."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from typing import Annotated

from cyclopts import Parameter

from aurea_engine import Problem, RunSpec, SpecError
from aurea_engine.shards.dask_address import ClusterAddress
from aurea_engine.shards.dask_link import check_extra


@Parameter(name="*")
@dataclass(frozen=True)
class DaskOptions:
    """On the machines of which cluster a run is executed."""

    dask: Annotated[str | None, Parameter(show_default=False)] = None
    "Run it on the workers of this Dask scheduler, such as tls://host:8786; one process on each if --processes is not given."

    dask_ca: Annotated[str | None, Parameter(show_default=False)] = None
    "File of the authority that the cluster's certificates are from."

    dask_cert: Annotated[str | None, Parameter(show_default=False)] = None
    "File of the certificate that is shown to the cluster."

    dask_key: Annotated[str | None, Parameter(show_default=False)] = None
    "File of the key of that certificate."

    dask_insecure: Annotated[bool, Parameter(negative=(), show_default=False)] = False
    "Allow tcp:// beyond this machine, where anybody can execute code on the cluster."

    def choose(self, spec: RunSpec) -> ClusterAddress | None:
        """The cluster that the options name, or else AUREA_DASK for a run in real time; None: this machine. Prints its
        warnings. Raises SpecError, and `ClusterRefused` where Dask is not installed.
        """
        # The variable is for all runs, and those in virtual time are of one process. The option is for this one.
        # An empty option, as of a variable of the shell that is not set, is refused: the run would be made here.
        address = self.dask
        if address is None:
            address = "" if spec.clock == "virtual" else os.environ.get("AUREA_DASK", "")
        if self.dask is None and not address:
            self._refuse_lone_options()
            return None
        cluster = ClusterAddress(
            address,
            self.dask_ca or os.environ.get("AUREA_DASK_CA", ""),
            self.dask_cert or os.environ.get("AUREA_DASK_CERT", ""),
            self.dask_key or os.environ.get("AUREA_DASK_KEY", ""),
            insecure=self.dask_insecure,
        )
        if problems := cluster.find_problems():
            raise SpecError([each._replace(path=f"--{each.path.replace('_', '-')}") for each in problems])
        check_extra()
        for warning in cluster.list_warnings():
            sys.stderr.write(f"aurea: warning: {warning}\n")
        return cluster

    def _refuse_lone_options(self) -> None:
        given = [name for name in ("dask_ca", "dask_cert", "dask_key", "dask_insecure") if getattr(self, name)]
        if given:
            text = "goes with --dask: name the cluster too"
            raise SpecError([Problem(f"--{name.replace('_', '-')}", text) for name in given])
