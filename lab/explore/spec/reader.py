"""Reads `.spec` files: the grammar of PostgreSQL's `src/test/isolation`, as its README and `specparse.y` have it.

A name is a word or quoted; words that the grammar needs are names only when quoted. An SQL block ends at the first
closing brace, wherever it stands; blanks beside its braces go, but not line ends. Columns count characters, from 1.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from pathlib import Path

from lark import Lark, Token, Tree, UnexpectedInput, UnexpectedToken

from lab.errors import UsageError, printable
from lab.explore.spec.values import Call, Marker, MarkerKind, Permutation, Spec, SpecSession, SpecStep

__all__ = ["read_spec", "spec_of"]

GRAMMAR = r"""
start: setup* teardown? session+ permutation*
setup: _SETUP BLOCK
teardown: _TEARDOWN BLOCK
session: _SESSION _name setup? step+ teardown?
step: _STEP _name BLOCK
permutation: _PERMUTATION call+
call: _name ["(" marker ("," marker)* ")"]
marker: STAR -> once
      | _name -> after
      | _name _NOTICES NUMBER -> notices
_name: WORD | QUOTED

_NOTICES.2: /notices(?![\w$])/
_PERMUTATION.2: /permutation(?![\w$])/
_SESSION.2: /session(?![\w$])/
_SETUP.2: /setup(?![\w$])/
_STEP.2: /step(?![\w$])/
_TEARDOWN.2: /teardown(?![\w$])/
WORD: /[^\W\d][\w$]*/
QUOTED: /"(?:[^"\n]|"")*"/
NUMBER: /[0-9]+/
STAR: "*"
BLOCK: /\{[^}]*\}/
%ignore /[ \t\r\f\n]+/
%ignore /#[^\n\r]*/
"""
_BLANKS = " \t\r\f"
_WORDS = {
    "BLOCK": "an SQL block in braces",
    "WORD": "a name",
    "QUOTED": "a name",
    "NUMBER": "a number",
    "STAR": '"*"',
    "LPAR": '"("',
    "RPAR": '")"',
    "COMMA": '","',
    "$END": "the end of the file",
}


@functools.cache
def _parser() -> Lark:
    return Lark(GRAMMAR, parser="lalr", lexer="basic")


def read_spec(path: Path) -> Spec:
    """The spec in a file. Raises `UsageError`, with line and column, for one that is none."""
    try:
        text = path.read_bytes().decode("utf-8", "surrogateescape")
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from None
    return spec_of(text, path.stem, str(path))


def spec_of(text: str, name: str, file: str = "") -> Spec:
    """The spec in a text. Raises `UsageError`, with line and column, for a text that is none."""
    where = file or name
    try:
        tree = _parser().parse(text)
    except UnexpectedInput as error:
        raise UsageError(f"{where}:{_place(error, text)}: {_reason(error, text)}") from None
    return _Linker(name, where).spec(tree)


def _place(error: UnexpectedInput, text: str) -> str:
    """Line and column; the end has those behind the last character."""
    if isinstance(error, UnexpectedToken) and error.token.type == "$END":
        return f"{text.count(chr(10)) + 1}:{len(text) - text.rfind(chr(10))}"
    return f"{error.line}:{error.column}"


def _reason(error: UnexpectedInput, text: str) -> str:
    """What was met, and what would be right."""
    if isinstance(error, UnexpectedToken):
        expected = sorted({_WORDS.get(each, each.strip("_").lower()) for each in error.accepts or error.expected})
        met = "the end of the file" if error.token.type == "$END" else _shown(error.token)
        return f"expected {' or '.join(expected)}, and met {met}"
    character = text[error.pos_in_stream or 0]
    unended = {"{": "this SQL block has no closing brace", '"': "this quoted name has no closing quote in its line"}
    return unended.get(character, f"no part of a spec begins with {printable(character)!r}")


def _shown(text: str) -> str:
    line, _, more = text.partition("\n")
    return printable(line[:40] + ("…" if more or len(line) > 40 else ""))  # noqa: PLR2004 - enough to find it


_Node = Tree[Token]


def _name(token: Token) -> str:
    return token[1:-1].replace('""', '"') if token.type == "QUOTED" else str(token)


def _blocks(node: _Node, kind: str) -> tuple[str, ...]:
    """The SQL of the setups or teardowns in a node."""
    return tuple(_sql(each.children[-1]) for each in _inside(node, kind))


def _sql(block: Token | _Node) -> str:
    return str(block)[1:-1].lstrip(_BLANKS).rstrip(_BLANKS)


def _inside(node: _Node, *kinds: str) -> Iterator[_Node]:
    return (each for each in node.children if isinstance(each, Tree) and each.data in kinds)


def _first(node: _Node) -> Token:
    token = node.children[0]
    assert isinstance(token, Token), "it begins with a name"
    return token


class _Linker:
    """Makes the values of a parsed spec, and links its permutations to its steps."""

    def __init__(self, name: str, file: str) -> None:
        self._name, self._file = name, file
        self._steps: dict[str, SpecStep] = {}

    def spec(self, tree: _Node) -> Spec:
        """The whole."""
        sessions = tuple(self._session(number, node) for number, node in enumerate(_inside(tree, "session")))
        return Spec(
            self._name,
            _blocks(tree, "setup"),
            next(iter(_blocks(tree, "teardown")), None),
            sessions,
            tuple(self._permutation(node) for node in _inside(tree, "permutation")),
        )

    def _session(self, number: int, node: _Node) -> SpecSession:
        steps = tuple(self._step(number, each) for each in _inside(node, "step"))
        setup, teardown = (next(iter(_blocks(node, kind)), None) for kind in ("setup", "teardown"))
        return SpecSession(_name(_first(node)), setup, steps, teardown)

    def _step(self, session: int, node: _Node) -> SpecStep:
        name = _name(_first(node))
        if name in self._steps:
            raise self._wrong(_first(node), f'another step is called "{name}"')
        step = self._steps[name] = SpecStep(name, _sql(node.children[1]), session)
        return step

    def _permutation(self, node: _Node) -> Permutation:
        calls = list(_inside(node, "call"))
        steps = [self._known(_first(call), "no step is called") for call in calls]
        return tuple(
            Call(step, tuple(self._marker(step, steps, each) for each in _inside(call, "once", "after", "notices")))
            for step, call in zip(steps, calls, strict=True)
        )

    def _marker(self, of: SpecStep, steps: list[SpecStep], node: _Node) -> Marker:
        if node.data == "once":
            return Marker(MarkerKind.ONCE)
        step = self._known(_first(node), "a marker names no step:")
        if step not in steps:
            raise self._wrong(_first(node), f'a marker names step "{step.name}", which is not in this permutation')
        if step.session == of.session:
            raise self._wrong(_first(node), f'step "{of.name}" cannot wait for "{step.name}" of its own session')
        if node.data == "after":
            return Marker(MarkerKind.STEP, step)
        return Marker(MarkerKind.NOTICES, step, int(str(node.children[1])))

    def _known(self, token: Token, otherwise: str) -> SpecStep:
        step = self._steps.get(_name(token))
        if step is None:
            raise self._wrong(token, f'{otherwise} "{_name(token)}"')
        return step

    def _wrong(self, at: Token, sentence: str) -> UsageError:
        return UsageError(f"{self._file}:{at.line}:{at.column}: {sentence}")
