"""`lab races`: races from requests that a file holds."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lab.commands.complete import complete_application
from lab.commands.console import err, print_lines, progress_bar, show_json
from lab.commands.options import bound_options, json_option, version_option
from lab.search.races import SECONDS

if TYPE_CHECKING:
    from rich.progress import Progress

    from lab.search.races.files.asked import Requests
    from lab.search.races.files.sending import Sending
    from lab.search.races.racing import Racing
    from lab.search.races.sent import Recording
    from lab.search.races.states import State

__all__ = ["command"]


def _in_a_folder(ctx: click.Context, param: click.Parameter, value: Path | None) -> Path | None:
    """The path of a file that is to be written. Raises `UsageError` for one in no folder."""
    from lab.errors import UsageError

    if value is not None and not value.absolute().parent.is_dir():
        raise UsageError(f"{param.opts[0]} {value}: there is no folder {value.absolute().parent}")
    return value


def _to_write_into(ctx: click.Context, param: click.Parameter, value: Path | None) -> Path | None:
    """The path of a folder that there is, or that can be made. Raises `UsageError`: races take long."""
    from lab.errors import UsageError

    if value is not None:
        there = next(each for each in (value.absolute(), *value.absolute().parents) if each.exists())
        if not (there.is_dir() and os.access(there, os.W_OK | os.X_OK)):
            raise UsageError(f"{param.opts[0]} {value}: {there} cannot be written into")
    return value


@click.command()
@click.argument("app", shell_complete=complete_application)
@click.option(
    "--requests",
    "file",
    type=click.Path(path_type=Path),
    required=True,
    metavar="FILE",
    help="A HAR file, JSON lines, or an OpenAPI 3 document as JSON, whose examples are sent; its content says which.",
)
@click.option("--host", metavar="HOST", help="Only requests to this host. [default: the one that most lead to]")
@click.option(
    "--before",
    metavar="MODULE:FUNCTION",
    help="Makes the tables and fills them, before the application starts: called without arguments, it connects as the "
    "application does. [default: the tables of the application's metadata, with no rows]",
)
@click.option(
    "--rows-from",
    metavar="URL",
    help="Copy tables and rows of this PostgreSQL database, which is only read, in one transaction.",
)
@click.option("--no-lifespan", "lifespan", flag_value=False, default=True, help="Do not start the application.")
@click.option(
    "--seconds",
    type=click.FloatRange(min=0),
    default=SECONDS,
    show_default=True,
    help="How long races may take altogether.",
)
@click.option(
    "--write",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    callback=_to_write_into,
    help="Write each race that is found as a scenario into this folder: the regression test of its fix.",
)
@click.option(
    "--html",
    "page",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    callback=_in_a_folder,
    help="Write the report as a page into this file, with the story of each race drawn.",
)
@click.option("--verbose", "-v", is_flag=True, help="Name every pair that shows a race.")
@json_option
@version_option
@bound_options("step", "setup", "imports")
async def command(app: str, **options: Any) -> str:
    """Race the requests of a file that are sent to APP, an ASGI application (module:attribute, or a function there).

    They are sent once, in turn, to the application with its tables on a server of the lab's, and recorded. Then each is
    raced against itself, against the next one, and against those that touch the same tables, from the rows that were
    there before it. Nothing is sent to the application's own database. Races that may stay are named in lab-races.toml.
    """
    from lab.search.races.accepted import accepted_in
    from lab.search.races.files.reading import read_requests

    requests = read_requests(options["file"], options["host"])
    accepted = accepted_in(Path.cwd())
    with progress_bar(quiet=options["as_json"]) as bar, ExitStack() as stack:
        racing, server = await _recorded(app, requests, options, bar, stack)
        task = bar.add_task("races", total=None)

        def progress(done: int, pairs: int, text: str) -> None:
            bar.update(task, completed=done, total=pairs, description=f"races · {text}")

        await racing.race(server, options["seconds"], accepted, progress)
    if options["write"] is not None:
        racing.write(options["write"])
    if options["as_json"]:
        show_json(racing.data())
    else:
        print_lines(racing.lines(verbose=options["verbose"]))
        print_lines([*racing.wrote, *filter(None, (racing.trouble, racing.nothing))])
    if options["page"] is not None:
        racing.write_page(options["page"], said=[*filter(None, (racing.nothing,))])
    return racing.verdict


def _unsent(requests: Requests) -> list[str]:
    """What of the file is not sent, in sentences."""
    left_out = ", ".join(f"{number} {why}" for why, number in requests.left_out.items())
    return [*([f"left out: {left_out}"] if left_out else []), *requests.unused]


async def _recorded(
    app: str, requests: Requests, options: dict[str, Any], bar: Progress, stack: ExitStack
) -> tuple[Racing, Any]:
    """What was sent to the application, and the server on which its tables are."""
    from lab.commands.sketch.named import application_named, function_named
    from lab.engine.watchdog import importing
    from lab.postgres.server.place import Place
    from lab.search.races.before import copied_from
    from lab.search.races.files.sending import NotStarted, Sending
    from lab.search.races.racing import Racing

    with importing():
        value, place = application_named(app)
        before = function_named(options["before"]) if options["before"] else None
    state = await copied_from(options["rows_from"]) if options["rows_from"] else None
    server = stack.enter_context(Place(version=int(options["version"])).server())
    racing = Racing(f"lab races {app} --requests {options['file']} --write DIR", place=place)
    sending = Sending(value, requests.asked, options["lifespan"])
    begins_as = await _beginning(server, app, state, made=before is not None)
    try:
        racing.recordings.append(await _sent(server, begins_as, before, sending, options["file"].name, bar))
    except NotStarted:
        if before is not None or state is not None:
            raise
        # It may make its tables itself, and not know what to do with those that are there.
        server = stack.enter_context(Place(version=int(options["version"])).server())
        racing.recordings.append(await _sent(server, "", None, sending, options["file"].name, bar))
    racing.notes = [*_unsent(requests), *sending.others]
    for each in racing.notes:
        err.print(each, markup=False)
    return racing, server


async def _beginning(server: Any, app: str, state: State | None, *, made: bool) -> str:
    """The database with which all begins; "" for none. `made`: a function of the user's makes the tables."""
    from lab.commands.sketch.named import metadata_near
    from lab.engine.watchdog import importing
    from lab.search.races.before import with_rows, with_tables

    if state is not None:
        return await with_rows(server, state)
    if made:
        return ""
    with importing():
        metadata = metadata_near(app)
    return await with_tables(server, metadata)


async def _sent(server: Any, begins_as: str, before: Any, sending: Sending, name: str, bar: Progress) -> Recording:
    """Send what there is to send, with connections that lead to the server."""
    import asyncio

    from lab.engine.watchdog import place_of
    from lab.errors import UsageError, first_line
    from lab.explore.invariants import bounded
    from lab.search.races.files.sending import engines_disposed
    from lab.search.races.recording import Recorder

    recorder = Recorder(server, begins_as)
    task = bar.add_task("requests", total=len(sending.asked))

    async def prepare(forget: Callable[[], None]) -> None:
        try:
            if inspect.iscoroutinefunction(before):
                await before()
            else:  # in a thread, where it may have an event loop of its own
                await asyncio.to_thread(before)
                forget()
        except (Exception, SystemExit) as error:
            raise UsageError(f"the function of --before failed: {first_line(error)} ({place_of(error)})") from error

    try:
        with recorder.on():
            async with engines_disposed() as forget:
                if before is not None:
                    await bounded(partial(prepare, forget), "the function of --before", "setup")
                return await sending.run(recorder, name, lambda done: bar.update(task, completed=done))
    finally:
        recorder.close()
        bar.remove_task(task)
