"""What stands in the file: its tables, the number of its form, and how an older form becomes this one.

A column that holds several values holds them as JSON. Moments are ISO 8601 in UTC, so their order is that of texts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlalchemy import JSON, Column, Float, Index, Integer, LargeBinary, MetaData, Table, Text, UniqueConstraint

__all__ = ["APPLICATION", "CHECKPOINTS", "FAILURES", "FORM", "HUNTS", "KNOWN", "METADATA", "MIGRATIONS"]

APPLICATION = int.from_bytes(b"lab\0")
"""SQLite's `application_id`, by which the file is known to be the lab's."""
FORM = 1
"""SQLite's `user_version`: raised when a table changes, with a line in `MIGRATIONS`."""
MIGRATIONS: Mapping[int, Sequence[str]] = {}
"""Form -> the statements that make the next one of it. Each is run once, all of a form in one transaction."""

METADATA = MetaData()

HUNTS = Table(
    "hunts",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("target", Text, nullable=False),
    Column("job", JSON, nullable=False),  # as `Job.dump` makes it
    Column("asked", JSON, nullable=False),  # what the command line asked for beside the job
    Column("scheduler", Text, nullable=False),  # as reports name it
    Column("seed", Integer, nullable=False),
    Column("isolation", Text),
    Column("versions", JSON, nullable=False),
    Column("source", Text, nullable=False),  # digest of the scenario's module
    Column("process", JSON, nullable=False),
    Column("begun", Text, nullable=False),
    Column("ended", Text),
    Column("state", Text, nullable=False),  # running, finished, interrupted; one whose process is gone is dead
    Column("verdict", Text),
    Column("reason", Text, nullable=False, default=""),
    Column("executions", Integer, nullable=False, default=0),
    Column("distinct_traces", Integer, nullable=False, default=0),
    Column("outcomes", JSON, nullable=False, default=dict),
    Column("exhausted", Integer, nullable=False, default=0),
    Column("seconds", Float, nullable=False, default=0.0),
    Column("answer", JSON),  # what --json showed, once it was finished
    Index("hunts_of_a_target", "target"),
    Index("hunts_by_time", "begun"),
)

FAILURES = Table(
    "failures",
    METADATA,
    Column("hunt", Text, primary_key=True),
    Column("checker", Text, primary_key=True),
    Column("broken", Text, primary_key=True),
    Column("token", Text, nullable=False),
    Column("execution", Integer, nullable=False),
    Column("written", Text, nullable=False),
    Column("shown", JSON, nullable=False),  # as --json shows it
    Column("report", Text, nullable=False),
)

CHECKPOINTS = Table(
    "checkpoints",
    METADATA,
    Column("hunt", Text, primary_key=True),
    Column("number", Integer, nullable=False),  # of the next execution
    Column("result", LargeBinary, nullable=False),  # `HuntResult.dump` as compressed JSON
    Column("scheduler", LargeBinary),  # see `frozen`; nothing where parts of the hunt are made anywhere
    Column("reduced", JSON, nullable=False),
)

KNOWN = Table(
    "known",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("test", Text, nullable=False),  # the id of a test of pytest's, "" for a hunt of the command line
    Column("target", Text, nullable=False),
    Column("parameters", Text, nullable=False),  # of the token, as JSON with sorted keys
    Column("isolation", Text, nullable=False),
    Column("checker", Text, nullable=False),
    Column("broken", Text, nullable=False),
    Column("token", Text, nullable=False),
    Column("checks", JSON, nullable=False),
    Column("source", Text, nullable=False),
    Column("hunt", Text, nullable=False),
    Column("state", Text, nullable=False),  # fails, fixed, changed
    Column("found", Text, nullable=False),
    Column("judged", Text, nullable=False),
    Column("versions", JSON, nullable=False),
    UniqueConstraint("test", "target", "parameters", "isolation", "checker", "broken"),
)
