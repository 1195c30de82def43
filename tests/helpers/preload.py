"""Imports what a command line of the lab needs, for a process from which command lines are forked.

Left out is what looks at its process while it is imported, and what the command line itself is to load.
"""

from __future__ import annotations

import gc

import click  # noqa: F401
import rich.progress  # noqa: F401
import sqlalchemy.dialects.postgresql.asyncpg  # noqa: F401

import lab.explore
import lab.report.anomaly
import lab.report.hunts
import lab.search.campaign
import lab.search.fresh
import lab.search.levels
import lab.search.remedies.trials  # noqa: F401

gc.collect()
gc.freeze()  # what is here stays: a forked process need not look through it, nor copy its pages
