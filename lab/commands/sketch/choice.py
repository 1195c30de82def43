"""Finds which rows a first scenario needs, by trying drafts until one works, and writes it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import product
from pathlib import Path

from sqlalchemy import Table

from lab.commands.sketch.engines import engines_of
from lab.commands.sketch.mentioned import mentioned
from lab.commands.sketch.place import Target, root_of, target_for
from lab.commands.sketch.requests import request_draft
from lab.commands.sketch.rows import Tables, needed
from lab.commands.sketch.scenario import Draft
from lab.commands.sketch.service import service_draft
from lab.commands.sketch.subject import Function, imported
from lab.commands.sketch.survey import Survey
from lab.commands.sketch.trial import Trial, tried
from lab.commands.sketch.values import quoted
from lab.commands.sketch.wanted import Subject, subjects_for
from lab.engine.watchdog import importing
from lab.errors import ServerError, UsageError
from lab.postgres.server.place import Place
from lab.postgres.server.server import Server

__all__ = ["Written", "first_scenario"]

BEST = 3
"""The worth of a draft of which both actors got through."""
GOOD = 2


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
        return self.trial is None or (trial.worth, trial.refused) > (self.trial.worth, self.trial.refused)


async def first_scenario(module: str | None, place: Place) -> Written:
    """Write the first scenario for what was named. Raises `UsageError` where nothing can be called."""
    with importing():
        subjects, survey = subjects_for(module)
    best = _Best()
    with ExitStack() as stack:
        server, trouble = None, ""
        try:
            server = stack.enter_context(place.server())
        except ServerError as error:
            trouble = str(error)
        for subject in subjects:
            target = target_for(subject.name, root_of(subject.module))
            with importing():
                drafts = list(_drafts(subject, survey))
            for draft in drafts:
                trial = await _trial(server, draft, target)
                if best.is_beaten_by(trial):
                    best = _Best(draft, trial, target)
                if trial.worth >= BEST or trial.refused or server is None:
                    break
            if best.trial is not None and best.trial.worth >= GOOD:
                break
    assert best.draft is not None
    assert best.trial is not None
    assert best.target is not None
    return _write(best.draft, best.trial, best.target, survey, trouble)


async def _trial(server: Server | None, draft: Draft, target: Target) -> Trial:
    if server is None:
        return Trial(1)
    name = f"{target.module}:{draft.class_name}"
    trial = await tried(server, draft.text(name), target, draft.class_name)
    if trial.refusals:
        draft.allows = sorted({draft.names.of_class(each) for each in trial.refusals})
        again = await tried(server, draft.text(name), target, draft.class_name)
        trial = trial if again.worth else again
    return trial


def _drafts(subject: Subject, survey: Survey) -> Iterator[Draft]:
    """Drafts for one subject, the likeliest first: rows where they are needed, in every table, in none."""
    tops = survey.tops
    tables = Tables(tops)
    if not tables.tables or not tables.are_whole():
        for each in survey.tables:
            imported(each)
        tables = Tables(tops)
    said, watched = mentioned([subject.call] if subject.call else [], tops), engines_of(tops)
    bare, whole = (needed(said, tables, subject.parameters, made=made) for made in (False, True))
    seen: list[tuple[bool, list[str]]] = []
    for ample, filled in product((False, True), (bare, whole)):
        if (key := (ample, [each.fullname for each in filled])) not in seen:
            seen.append(key)
            yield _draft(subject, survey, tables, filled, watched, ample=ample)
    for filled in (tables.all(), []):
        if [each.fullname for each in filled] not in (names for _, names in seen):
            yield _draft(subject, survey, tables, filled, watched, ample=False)


def _draft(
    subject: Subject,
    survey: Survey,
    tables: Tables,
    filled: list[Table],
    watched: list[tuple[str, str]],
    *,
    ample: bool,
) -> Draft:
    what = subject.what
    if isinstance(what, Function):
        draft = service_draft(what, survey.tops, tables, filled, watched)
    else:
        draft = request_draft((subject.module, subject.attribute), what, tables, filled, watched)
    draft.ample = ample
    if not tables.tables and survey.migrations_take_a_connection:
        draft.migrations = _folder_of_migrations(draft, root_of(subject.module), survey.migrations)
    if survey.lasting and "session" in draft.asked:
        draft.attributes.append(f'session_options = {{"expire_on_commit": False}}  # as in {survey.lasting}')
    return draft


def _folder_of_migrations(draft: Draft, root: Path, folder: str) -> str:
    """The expression, in a file that lies in a folder beside them."""
    path = draft.names.of("pathlib", "Path")
    if Path(folder).is_relative_to(root):
        inner = "".join(f" / {quoted(part)}" for part in Path(folder).relative_to(root).parts)
        return f"{path}(__file__).parents[1]{inner}"
    return f"{path}({quoted(folder)})"


def _write(draft: Draft, trial: Trial, target: Target, survey: Survey, trouble: str) -> Written:
    name = f"{target.module}:{draft.class_name}"
    try:
        target.file.parent.mkdir(parents=True, exist_ok=True)
        with target.file.open("x", encoding="utf-8") as file:
            file.write(draft.text(name))
    except OSError as error:
        raise UsageError(f"the scenario {target.file} cannot be written: {error.strerror or error}") from None
    found = []
    if known := draft.tables.all():
        found.append(("tables", f"{len(known)}, made from metadata"))
    if draft.migrations:
        found.append(("tables", f"made by the migrations in {survey.migrations}"))
    elif survey.migrations:
        found.append(("", f"the migrations in {survey.migrations} are not run; the guide shows `schema` for that"))
    if draft.watched:
        found.append(("engines", f"{', '.join('.'.join(each) for each in draft.watched)}, watched"))
    if draft.filled:
        found.append(("rows", ", ".join(each.fullname for each in draft.filled)))
    said = {
        3: "one after the other, both got through",
        2: f"one after the other, the second was refused: {trial.why}",
    }.get(trial.worth, f"not tried: {trouble}" if trouble else f"did not get through: {trial.why}")
    edit = "the rows of setup and the values of both calls as your code wants them; state invariants of your own"
    return Written(str(target.file), name, f"two requests {draft.what}", found, said, edit)
