"""The options `--workers` and `--dask`, and the cluster that the second one names."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from lab.commands.options import workers_option
from lab.errors import UsageError

if TYPE_CHECKING:
    from lab.search.cluster.cluster import Cluster

__all__ = ["cluster_of", "who_options"]


def who_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Options that say who hunts: processes of this machine, or a cluster."""
    command = click.option(
        "--dask",
        metavar="ADDRESS",
        help="Hunt on a dask cluster: the scheduler's address, as tcp://HOST:8786, or its scheduler file.",
    )(command)
    return workers_option(
        "Processes to hunt with; one TARGET takes no more than there are cores. [default: 1; 2 without TARGET]"
    )(command)


def cluster_of(options: dict[str, Any]) -> Cluster | None:
    """The cluster that was asked for. Raises `UsageError` for what cannot be one."""
    if options["dask"] is None:
        return None
    if click.get_current_context().get_parameter_source("workers") is ParameterSource.COMMANDLINE:
        raise UsageError("--workers is for this machine and --dask for a cluster, which has as many as it has")
    from lab.search.cluster.cluster import Cluster

    return Cluster(options["dask"], int(options["version"]))
