"""Chooses what a first scenario calls and which rows it needs, by trying drafts until one works, and writes it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from lab.commands.sketch.engines import engines_of
from lab.commands.sketch.mentioned import mentioned
from lab.commands.sketch.place import Target, root_of, target_for
from lab.commands.sketch.rows import Tables, needed
from lab.commands.sketch.scenario import Draft
from lab.commands.sketch.service import service_draft
from lab.commands.sketch.subject import Function, imported, is_application, missing, parameters_of, subjects_in
from lab.commands.sketch.survey import Survey, surveyed
from lab.commands.sketch.trial import Trial, tried
from lab.engine.watchdog import importing
from lab.errors import ServerError, UsageError
from lab.postgres.server.place import Place
from lab.postgres.server.server import Server
from lab.scenario.whereabouts import whereabouts_of

__all__ = ["Written", "first_scenario"]

BEST = 3
MOST_SUBJECTS = 4
"""How many functions are tried where none was named."""


@dataclass(frozen=True, slots=True)
class Written:
    """What is said of the file that was written."""

    file: str
    target: str
    what: str
    found: list[tuple[str, str]]
    tried: str
    edit: str


@dataclass(slots=True)
class _Best:
    draft: Draft | None = None
    trial: Trial | None = None
    target: Target | None = None

    def is_beaten_by(self, trial: Trial) -> bool:
        return self.trial is None or trial.worth > self.trial.worth


async def first_scenario(module: str | None, place: Place) -> Written:
    """Write the first scenario for what was named. Raises `UsageError` where nothing can be called."""
    with importing():
        subjects, survey = _subjects(module)
    best = _Best()
    with ExitStack() as stack:
        server, trouble = None, ""
        try:
            server = stack.enter_context(place.server())
        except ServerError as error:
            trouble = str(error)
        for subject in subjects[:MOST_SUBJECTS]:
            target = target_for(subject.name, root_of(subject.module))
            with importing():
                drafts = list(_drafts(subject, survey))
            for draft in drafts:
                trial = await _trial(server, draft, target)
                if best.is_beaten_by(trial):
                    best = _Best(draft, trial, target)
                if trial.worth >= BEST or server is None:
                    break
            if best.trial is not None and best.trial.worth >= BEST - 1:
                break
    assert best.draft is not None
    assert best.trial is not None
    assert best.target is not None
    return _write(best.draft, best.trial, best.target, survey, trouble)


async def _trial(server: Server | None, draft: Draft, target: Target) -> Trial:
    if server is None:
        return Trial(1)
    name = f"{target.module}:{draft.class_name}"
    trial = await tried(server, draft.text(name), target.module, draft.class_name)
    if trial.refusals:
        draft.allows = sorted({draft.names.of_class(each) for each in trial.refusals})
        again = await tried(server, draft.text(name), target.module, draft.class_name)
        trial = Trial(trial.worth, trial.why, trial.refusals) if again.worth else again
    return trial


def _subjects(module: str | None) -> tuple[list[Function], Survey]:
    """What may be called, the best first."""
    if module is None:
        survey = surveyed(Path.cwd())
        found = [each for where in survey.services[:MOST_SUBJECTS] for each in subjects_in(imported(where))[:1]]
        if not found:
            raise UsageError(_nothing(survey))
        return found, survey
    name, colon, attribute = module.partition(":")
    if name.endswith(".py"):
        name = ".".join(Path(name).with_suffix("").parts)
    if not colon and "." in name and not whereabouts_of(name).file:  # shop.services.place_order
        name, _, attribute = name.rpartition(".")
    there = imported(name)
    survey = surveyed(root_of(name), name.partition(".")[0])
    if attribute:
        return [_named(there, name, attribute)], survey
    found = subjects_in(there)
    if not found and hasattr(there, "__path__"):
        inside = surveyed(root_of(name), name)
        found = [each for where in inside.services[:MOST_SUBJECTS] for each in subjects_in(imported(where))[:1]]
    if not found:
        raise UsageError(
            f"{name} has no coroutine function that could be called: its parameters are to be a session, numbers, "
            "texts, models or what has a default; name another module, or one function as in shop.services:place_order"
        )
    return found, survey


def _named(module: object, name: str, attribute: str) -> Function:
    import inspect

    value: object = module
    for part in attribute.split("."):
        value = getattr(value, part, None)
    if value is None:
        raise UsageError(f"{name} has no {attribute!r}")
    if is_application(value):
        raise UsageError(
            f"{name}:{attribute} is an ASGI application; name a coroutine function that it calls, as in "
            "shop.services:place_order"
        )
    if not inspect.iscoroutinefunction(value):
        raise UsageError(f"{name}:{attribute} is no coroutine function (async def) and no ASGI application")
    function = Function(name, attribute, value, parameters_of(value))
    if lacks := missing(function):
        raise UsageError(
            f"{name}:{attribute} needs {lacks}, for which no value is known; name a function whose parameters are a "
            "session, numbers, texts, models or have defaults"
        )
    return function


def _nothing(survey: Survey) -> str:
    return (
        f"looked through {survey.files} modules in {Path.cwd()}: {len(survey.tables)} with tables, "
        f"{len(survey.applications)} with an ASGI application, and none with a coroutine function that takes a session "
        "and otherwise numbers, texts, models or defaults; name what to call: lab init shop.services:place_order"
    )


def _drafts(subject: Function, survey: Survey) -> Iterator[Draft]:
    """Drafts for one function, the likeliest first: rows where they are needed, in every table, in none."""
    package = subject.module.partition(".")[0]
    tables = Tables([package])
    if not tables.tables or not tables.are_whole():
        for each in survey.tables:
            imported(each)
        tables = Tables([package])
    said, watched = mentioned([subject.call]), engines_of([package])
    bare, all_read = (needed(said, tables, subject.hints, made=made) for made in (False, True))
    seen: list[tuple[bool, list[str]]] = []
    for ample, filled in (
        (False, bare),
        (True, bare),
        (False, all_read),
        (True, all_read),
        (False, tables.all()),
        (False, []),
    ):
        key = (ample, [each.fullname for each in filled])
        if key not in seen:
            seen.append(key)
            draft = service_draft(subject, tables, filled, watched)
            draft.ample = ample
            if survey.lasting and "session" in draft.asked:
                draft.attributes = [f'session_options = {{"expire_on_commit": False}}  # as in {survey.lasting}']
            yield draft


def _write(draft: Draft, trial: Trial, target: Target, survey: Survey, trouble: str) -> Written:
    name = f"{target.module}:{draft.class_name}"
    target.file.parent.mkdir(parents=True, exist_ok=True)
    with target.file.open("x", encoding="utf-8") as file:
        file.write(draft.text(name))
    found = []
    if known := draft.tables.all():
        found.append(("tables", f"{len(known)}, made from metadata"))
    if survey.migrations:
        found.append(("", f"the migrations in {survey.migrations} are not run; the guide shows `schema` for that"))
    if draft.watched:
        found.append(("engines", f"{', '.join('.'.join(each) for each in draft.watched)}, watched"))
    if draft.filled:
        found.append(("rows", ", ".join(each.fullname for each in draft.filled)))
    said = {
        3: "one after the other, both got through",
        2: f"one after the other, the second was refused: {trial.why}",
    }.get(trial.worth, f"did not get through: {trial.why or trouble}")
    edit = "the rows of setup and the values of both calls as your code wants them; state invariants of your own"
    return Written(str(target.file), name, f"two requests {draft.what}", found, said, edit)
