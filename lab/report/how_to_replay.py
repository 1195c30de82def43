"""The command that replays a failure."""

from __future__ import annotations

from collections.abc import Iterator

from lab.checkers import CHECKERS
from lab.model.record import ExecutionRecord
from lab.report.section import Message, Section

__all__ = ["SECTION"]


def _replay(message: Message) -> Iterator[str]:
    if message.failure is not None:
        for number, hint in enumerate(message.replay_hint.splitlines()):
            asked = _asked_for(message.record) if hint.startswith("lab replay ") else ""
            yield f"{'     or  ' if number else 'Replay   '}{hint.replace('TOKEN', message.failure.token)}{asked}"


def _asked_for(record: ExecutionRecord) -> str:
    """The checks that found something and that a replay does not make by itself."""
    found = dict.fromkeys(finding.checker for finding in record.findings)
    checkers = [CHECKERS[name] for name in found if name in CHECKERS]
    return "".join(f" --check {each.name}" for each in checkers if each.must_be_asked(record.scenario))


SECTION = Section("replay", _replay, whole=True)
