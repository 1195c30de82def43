"""The option `--dask`, and the cluster that it names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from lab.errors import UsageError

if TYPE_CHECKING:
    from lab.search.cluster.cluster import Cluster

__all__ = ["cluster_of", "dask_option"]

dask_option = click.option(
    "--dask",
    metavar="ADDRESS",
    help="Hunt on a dask cluster: the scheduler's address, as tcp://HOST:8786, or its scheduler file.",
)


def cluster_of(options: dict[str, Any]) -> Cluster | None:
    """The cluster that was asked for. Raises `UsageError` for what cannot be one."""
    if options["dask"] is None:
        return None
    if options["workers"] is not None:
        raise UsageError("--workers is for this machine and --dask for a cluster, which has as many as it has")
    from lab.search.cluster.cluster import Cluster

    return Cluster(options["dask"], int(options["version"]))
