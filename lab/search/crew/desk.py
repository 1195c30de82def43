"""Who makes which execution, and what was made and waits until the search comes to it. No process, no clock."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from itertools import islice

from lab.schedulers.course import Course
from lab.search.crew.made import Made

__all__ = ["Desk", "Figures"]

AHEAD = 64
"""How many executions ahead somebody goes at most; what was made waits in memory, and may turn out to be of no use."""


@dataclass(slots=True)
class Figures:
    """How a search went over its workers."""

    taken: int = 0
    """Executions that others made, and the search took in."""
    before: int = 0
    """Those that the search's own process made before it came to them."""
    refused: int = 0
    """Made elsewhere, but not as the search would have made it, or with something that it must see itself."""
    unused: int = 0
    """Made for nothing: the search never came to them, or did not wait for them."""
    lost: int = 0
    """Given to a worker that ended; made again."""
    waited: float = 0.0
    """Seconds in which the search's own process had nothing to do."""

    def dump(self) -> dict[str, float]:
        """For programs."""
        return asdict(self)


class Desk:
    """One queue: whoever is free takes the next execution that is foreseen, and that nobody has made or makes."""

    def __init__(self) -> None:
        self.figures = Figures()
        self._made: dict[str, tuple[int | None, Made]] = {}
        """Key -> who made it, None for the search's own process, and what."""
        self._given: dict[str, int] = {}

    def outstanding(self, worker: int) -> int:
        """How many a worker has before it."""
        return sum(each == worker for each in self._given.values())

    def is_given(self, key: str) -> bool:
        """Whether a worker has it before it."""
        return key in self._given

    def foreseen(self, courses: Iterable[Course], left: int) -> Iterator[Course]:
        """The next executions, with what those lead to that are made; so many at most as the search has left."""
        return islice(self._with_what_follows(courses), min(left, AHEAD))

    def _with_what_follows(self, courses: Iterable[Course]) -> Iterator[Course]:
        for course in courses:
            yield course
            if (made := self._made.get(course.key)) is not None and made[1].onward:
                yield from self._with_what_follows(made[1].onward)

    def free(self, courses: Iterator[Course]) -> Iterator[Course]:
        """Those that nobody has made or makes."""
        return (each for each in courses if each.key not in self._given and each.key not in self._made)

    def give(self, course: Course, worker: int) -> None:
        """A worker makes it."""
        self._given[course.key] = worker

    def came(self, worker: int | None, made: Made) -> None:
        """Somebody has made it; None: the search's own process."""
        if worker is None or self._given.pop(made.key, None) is not None:
            self._made[made.key] = worker, made
        else:
            self.figures.unused += 1

    def take(self, key: str) -> Made | None:
        """What was made under this key, once."""
        worker, made = self._made.pop(key, (None, None))
        if made is not None:
            self.figures.before += worker is None
            self.figures.taken += worker is not None
        return made

    def refuse(self) -> None:
        """What was just taken is of no use."""
        self.figures.refused += 1

    def recall(self, key: str) -> None:
        """Whoever makes it is not waited for; what it makes is not used."""
        self._given.pop(key, None)

    def lost(self, worker: int) -> None:
        """A worker has ended: what it had is free again."""
        had = [key for key, each in self._given.items() if each == worker]
        for key in had:
            del self._given[key]
        self.figures.lost += len(had)

    def close(self) -> None:
        """The search is over."""
        self.figures.unused += len(self._made) + len(self._given)
        self._made.clear()
        self._given.clear()
