"""Lines of the user's code as a story names them: as short as can be told apart in it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from lab.model.origin import Line, Origin
from lab.model.record import ExecutionRecord

__all__ = ["calls_of", "places_of"]


def places_of(record: ExecutionRecord) -> Mapping[int, str]:
    """Number of a step -> `service.py:41`. Steps of which no line is known are left out."""
    known = {number: origin for number, origin in enumerate(record.origins, 1) if origin is not None}
    short = _short(origin.file for origin in known.values())
    return {number: f"{short[origin.file]}:{origin.line}" for number, origin in known.items()}


def calls_of(origin: Origin) -> tuple[Line, ...]:
    """The lines of libraries through which the user's line led to the statement, outermost first."""
    own = Line(origin.file, origin.line, origin.function)
    last = max((index for index, each in enumerate(origin.path) if each == own), default=len(origin.path))
    return origin.path[last + 1 :]


def _short(files: Iterable[str]) -> Mapping[str, str]:
    """Each file -> its name, with as many of its folders as tell it from the others."""
    parts = {file: file.replace("\\", "/").split("/") for file in files}

    def shortest(file: str) -> str:
        own = parts[file]
        for length in range(1, len(own)):
            if not any(other[-length:] == own[-length:] for each, other in parts.items() if each != file):
                return "/".join(own[-length:])
        return file

    return {file: shortest(file) for file in parts}
