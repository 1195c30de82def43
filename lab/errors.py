"""One tree of errors. It imports nothing, so that every module may import it.

The exit status that the command line gives for an error stands beside the error, so that the mapping
exists once. Statuses 0 and 1 belong to verdicts (no violation, a violation), never to errors of the lab;
`Violation` is the exception that carries the second of them.
"""

from __future__ import annotations

__all__ = [
    "DEFECTS",
    "LONGEST_MESSAGE",
    "Divergence",
    "Interrupted",
    "LabError",
    "ScenarioError",
    "SearchOver",
    "ServerError",
    "TokenError",
    "UncontrolledError",
    "UsageError",
    "Violation",
    "defect",
    "first_line",
    "is_a",
    "printable",
    "shown",
]

_UNPRINTABLE = {code: f"\\x{code:02x}" for code in (*range(9), *range(11, 32), *range(127, 160))}
"""Control characters, which move a terminal's cursor."""
DEFECTS = (ArithmeticError, AssertionError, AttributeError, LookupError, RecursionError, TypeError, ValueError)
"""What code raises that is wrong itself. Not what a server, a library or the lab raises on purpose."""
LONGEST_MESSAGE = 1000
"""Characters of an error's message that a sentence about it has room for."""


class LabError(Exception):
    """Base of everything the lab raises on purpose; its text is one clear sentence for the user."""

    exit_status = 3


class UsageError(LabError):
    """The caller asked for something that cannot be: an unknown target, a bad option."""

    exit_status = 2


class ScenarioError(UsageError):
    """A scenario cannot be run as it is written: no actors, a failing setup, an invariant that crashes."""


class TokenError(UsageError):
    """A replay token that is broken, truncated, foreign, or made for something that changed since."""


class ServerError(LabError):
    """The PostgreSQL server cannot be reached, refuses what the lab needs, or died."""


class UncontrolledError(LabError):
    """An actor waits for something outside the lab's control (a thread, a socket to elsewhere)."""


class Divergence(LabError):
    """A replay did not meet the choices that were recorded. Never a verdict on the scenario."""


class SearchOver(LabError):
    """A scheduler was asked for one more execution and has no more. A hunt ends with it."""


class Interrupted(KeyboardInterrupt):
    """Somebody pressed Ctrl-C, or asked the process to end. Code of the user's raises other `KeyboardInterrupt`s."""


class Violation(AssertionError):
    """A scenario broke one of its invariants on a real server. The text is the whole failure report.

    The other values are for programs: the replay token, the anomaly in Adya's names or "", the first words of the
    report, the sentence that does not hold, and file and line where it is stated, or "".
    """

    def __init__(
        self,
        report: str = "",
        *,
        token: str = "",
        anomaly: str = "",
        title: str = "",
        broken: str = "",
        location: str = "",
        page: dict[str, object] | None = None,
    ) -> None:
        super().__init__(report)
        self.token = token
        self.anomaly = anomaly
        self.title = title
        self.broken = broken
        self.location = location
        self.page = page or {}
        """What a page of it is made from, where one is to be written."""


def shown(value: object) -> str:
    """A value of the user's as a text, whatever its own `str` raises or gives; halves of characters are escaped."""
    try:
        text = str(value)
    except BaseException as error:  # noqa: BLE001 - of whatever kind, it is named in the text
        return f"<{type(value).__name__} that cannot be shown: {type(error).__name__}>"
    return printable(text)


def printable(text: str) -> str:
    """A text with halves of characters, and what would move a terminal's cursor, as escapes."""
    return text.encode("utf-8", "backslashreplace").decode().translate(_UNPRINTABLE)


def defect(doing: str, error: BaseException) -> str:
    """The sentence that says what the lab could not do since it is wrong itself, with the place of its own code."""
    trace, place = error.__traceback__, ""
    while trace is not None:
        folder, _, name = trace.tb_frame.f_code.co_filename.rpartition("/lab/")
        place = f", lab/{name}:{trace.tb_lineno}" if folder else place
        trace = trace.tb_next
    return f"the lab could not {doing}, which is a defect of its own ({first_line(error)}{place}); the rest holds"


def is_a(error: object, *kinds: type) -> bool:
    """Whether an error of the user's is of one of these classes. `isinstance` would also ask the error itself."""
    return issubclass(type(error), kinds)


def first_line(error: BaseException) -> str:
    """An error's type and the first line of its message, for a sentence about it."""
    try:
        original = getattr(error, "orig", None) or error
    except BaseException:  # noqa: BLE001 - a property of the user's, which need not be looked at
        original = error
    lines = shown(original).strip().splitlines()
    if not lines:
        return type(error).__name__
    cut = lines[0] if len(lines[0]) <= LONGEST_MESSAGE else f"{lines[0][:LONGEST_MESSAGE]} …"
    return f"{type(error).__name__}: {cut}"
