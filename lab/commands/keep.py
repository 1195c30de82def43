"""What `lab hunt` keeps in `.lab/`, and what it looks up there: to go on with a hunt, and known violations.

Where the file cannot be used, one sentence says so on standard error, and the hunt goes on without.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from lab.commands.console import err, out
from lab.commands.options import HuntCommand

if TYPE_CHECKING:
    from lab.analysis.reported import ReportedFailure
    from lab.analysis.tally import HuntResult
    from lab.commands.found import Found
    from lab.explore import Explorer
    from lab.postgres.server.place import Place
    from lab.search.job import Job
    from lab.search.kept.keeping import Keeping
    from lab.search.kept.known import Known, KnownFailure
    from lab.search.kept.replayed import KnownReplays, Tried
    from lab.search.kept.store import Store

__all__ = ["Desk", "KeptCommand", "keep_options", "kept_hunt"]

_WITH_RESUME = frozenset({"resume", "as_json", "html", "plot", "workers", "url", "version"})
_ASKED = ("workers", "remedies", "remedies_seconds", "fresh", "version")
"""Options beside the job that a hunt which goes on has again."""


def keep_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """`--resume` and `--no-keep`."""
    command = click.option(
        "--keep/--no-keep", default=None, help="Keep this hunt in .lab/, and replay known violations. [default: keep]"
    )(command)
    return click.option("--resume", metavar="ID", help="Go on with the hunt ID of `lab hunts` where it was.")(command)


class KeptCommand(HuntCommand):
    """A command whose options may be those of a hunt that is kept."""

    def invoke(self, ctx: click.Context) -> Any:
        """Raises `UsageError` for what cannot be said of a hunt that goes on."""
        from lab.errors import UsageError

        if ctx.params.get("resume") is not None:
            given = [
                each
                for each in self.get_params(ctx)
                if each.expose_value
                and each.name not in _WITH_RESUME
                and ctx.get_parameter_source(each.name or "") is ParameterSource.COMMANDLINE
            ]
            if given:
                its = (given[0].opts[0] if isinstance(given[0], click.Option) else "TARGET").removesuffix("/")
                raise UsageError(f"--resume goes on with what the hunt was asked; leave out {its}")
        return super().invoke(ctx)


def kept_hunt(name: str, options: dict[str, Any]) -> tuple[dict[str, Any], Job, dict[str, Any]]:
    """The hunt that is to go on: its row, its job, and the options as they were then. Raises `LabError`."""
    from lab.errors import UsageError
    from lab.search.job import Job
    from lab.search.kept.file import KeptFile
    from lab.search.kept.folder import file_of
    from lab.search.kept.store import Store, state_of

    file = KeptFile.open_to_read(file_of())
    if file is None:
        raise UsageError(f"no hunts are kept here: there is no {file_of()}")
    row = Store(file).hunt(name)
    file.close()
    if (state := state_of(row)) not in ("interrupted", "dead"):
        more = f"`lab hunts show {row['id']}` shows it" if state == "finished" else "end it first"
        raise UsageError(f"the hunt {row['id']} is {state}; {more}")
    asked = {each: row["asked"][each] for each in _ASKED if each in row["asked"]}
    if options["workers"] is not None:
        asked["workers"] = options["workers"]
    if row["asked"].get("external") and options["url"] is None:
        raise UsageError(f"the hunt {row['id']} was on a server given by URL; give it again with --url")
    return row, Job.load(row["job"]), {**options, **asked, "keep": True}


class Desk:
    """The file, for one hunt. Leave it with `aclose`. `row`: the hunt that is to go on."""

    def __init__(self, job: Job, options: dict[str, Any], shown: Found, row: dict[str, Any] | None = None) -> None:
        self.keeping: Keeping | None = None
        self.shown = shown
        self._job, self._options, self._row = job, options, row
        self._store: Store | None = None
        self._known: Known | None = None
        self._replays: KnownReplays | None = None
        self._versions: dict[str, str] = {}
        self._ended = self._printed = False

    async def begin(self, explorer: Explorer, place: Place, *, external: bool) -> None:
        """Write that the hunt begins, and begin to replay what is known."""
        from lab.search.kept.folder import file_of, keeps

        wanted: bool | None = self._options["keep"]
        if not (keeps() if wanted is None else wanted):
            return
        from lab.search.kept.file import KeptFile, NotKept
        from lab.search.kept.known import Known
        from lab.search.kept.replayed import KnownReplays
        from lab.search.kept.store import Store
        from lab.search.kept.versions import source_of, versions

        try:
            file, said = KeptFile.open(file_of())
            if said:
                _warn(said)
            self._store, self._known = Store(file), Known(file)
            self._versions = versions(await _version_of(explorer))
            source = source_of(self._job.target)
            self._begin(source, external=external)
            self._replays = KnownReplays(place, self._others(), source, self._judge)
        except NotKept as error:
            self.keeping = None
            _warn(f"nothing is kept of this hunt: {error}")

    def _begin(self, source: str, *, external: bool) -> None:
        from lab.search.kept.keeping import Keeping
        from lab.search.kept.resume import resumed

        assert self._store is not None
        point = None
        if self._row is None:
            asked = {**{each: self._options[each] for each in _ASKED}, "external": external}
            hunt = self._store.begin(self._job, asked, self._versions, source)
        else:
            hunt = self._row["id"]
            then, now = (self._row["versions"], self._row["source"]), (self._versions, source)
            point, why = resumed(self._store.checkpoint(hunt), self._job, then, now)
            self._store.go_on(hunt, self._versions, source)
            if why:
                _warn(f"the hunt {hunt} begins anew: {why}")
        self.keeping = Keeping(
            self._store, hunt, self._job, source=source, versions=self._versions, say=_warn, resumed=point
        )

    def _others(self) -> list[KnownFailure]:
        """What is known of the scenario but for what this hunt found itself, where it goes on."""
        assert self._known is not None
        own = None if self.keeping is None else self.keeping.hunt
        return [each for each in self._known.of(self._job.target) if each.hunt != own]

    def _judge(self, tried: Tried) -> None:
        from lab.search.kept.file import NotKept
        from lab.search.kept.known import CHANGED, FIXED

        if tried.state in (FIXED, CHANGED) and self._known is not None:
            with contextlib.suppress(NotKept):  # the next hunt replays it again
                self._known.judge(tried.known, tried.state, self._versions)

    def look(self) -> bool:
        """Show what became of known violations, once it is known. Whether it is."""
        if self._replays is not None and not self._replays.is_over:
            return False
        if not self._printed:
            self._printed = True
            from lab.report.kept import known_lines

            self.shown.known([*known_lines(each.shown() for each in self._tried)])
        return True

    def first(self, failure: ReportedFailure) -> None:
        """A failure was found; what is known is shown before it."""
        if self.look():
            self.shown.first(failure)

    async def over(self) -> None:
        """Wait for what is known. Who waits and is cancelled ends that."""
        import asyncio

        if self._replays is not None:
            with contextlib.suppress(asyncio.CancelledError):  # what was not tried says so
                await self._replays.over()
        self.look()

    @property
    def _tried(self) -> list[Tried]:
        return [] if self._replays is None else self._replays.tried

    @property
    def _counts(self) -> int:
        return sum(each.counts(self._job) for each in self._tried)

    def verdict(self, result: HuntResult) -> str:
        """Of the command: a known violation that still fails is one."""
        from lab.model.verdict import Verdict

        return Verdict.FAIL if self._counts else result.verdict

    def answer(self, result: HuntResult) -> dict[str, Any]:
        """What `--json` shows of it."""
        known = [each.shown() for each in self._tried]
        hunt = None if self.keeping is None else self.keeping.hunt
        return {"verdict": self.verdict(result), "hunt": hunt, "known": known}

    def ended(self, result: HuntResult, answer: dict[str, Any]) -> None:
        """The hunt is over; this is what will be shown."""
        self._ended = True
        if self.keeping is not None:
            self.keeping.ended(result, self.verdict(result), answer)

    def print_end(self, result: HuntResult) -> None:
        """What stands below the verdict of the search: that the command's is another one, and how to go on."""
        if not result.failures and self._counts:
            out.out("a known violation still fails, see above; so the exit status is 1, whatever the search found")
        if self.keeping is not None and result.trouble:
            out.out(f"to go on: lab hunt --resume {self.keeping.hunt}")

    async def aclose(self) -> None:
        """Let go of the file. A hunt that came to nothing is forgotten."""
        from lab.search.kept.file import NotKept

        if self._replays is not None:
            await self._replays.aclose()
        if self._store is not None:
            if self.keeping is not None and not self._ended and self._row is None:
                with contextlib.suppress(NotKept):
                    self._store.abandoned(self.keeping.hunt)
            self._store.file.close()


async def _version_of(explorer: Explorer) -> str:
    """The server's, as it says itself; "" where it cannot be asked, which the hunt will say."""
    from lab.errors import LabError
    from lab.postgres.server.monitor import LOST

    with contextlib.suppress(LabError, OSError, *LOST):
        major, minor = divmod((await explorer.open()).abilities.version, 10000)
        return f"{major}.{minor}"
    return ""


def _warn(sentence: str) -> None:
    from lab.errors import printable

    err.print(f"lab: {printable(sentence)}", markup=False)
