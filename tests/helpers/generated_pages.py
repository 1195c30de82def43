"""Pages of the reference that are made from the code: the command line from click, the JSON from its schema."""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import click

from helpers.pages import DOCS
from lab.commands import COMMANDS

REFERENCE = DOCS / "reference"
EXIT = "Exit status 0: no violation; 1: a violation; 2: wrong use; 3: inconclusive, or the lab or the server failed."


def command_line() -> Iterator[str]:
    yield from ("# Command line", "", f"`lab COMMAND`. {EXIT} `lab COMMAND --help` prints what this page holds.", "")
    yield "A TARGET is `module:Class`, or a short name where only one scenario has it."
    for name in sorted(COMMANDS):
        command: click.Command = importlib.import_module(COMMANDS[name]).command
        yield from _command(name, command)
        for inner, each in sorted(getattr(command, "commands", {}).items()):
            yield from _command(f"{name} {inner}", each)


def _command(name: str, command: click.Command) -> Iterator[str]:
    context = click.Context(command, info_name=f"lab {name}")
    yield from ("", f"## lab {name}", "", f"`{command.get_usage(context).removeprefix('Usage: ')}`", "")
    yield from (line.strip() for line in (command.help or "").strip().split("\n"))
    options = [each for each in command.get_params(context) if isinstance(each, click.Option)]
    records = [record for each in options if (record := each.get_help_record(context))]
    if shown := [record for record in records if not record[0].endswith("--help")]:
        yield from ("", "| option | |", "|---|---|")
        yield from (f"| `{_cell(flags)}` | {_prose(text)} |" for flags, text in shown)


def report_form() -> Iterator[str]:
    schema = json.loads((DOCS / "report.schema.json").read_text())
    shapes = [each["$ref"].rpartition("/")[2] for each in schema["oneOf"]]
    parts: Mapping[str, Any] = schema["$defs"]
    yield from ("# JSON", "", "With `--json` a command prints one value of one of these shapes on standard output:")
    yield from (", ".join(f"[{each}](#{each})" for each in shapes) + ".", "")
    yield f"{schema['description'].removeprefix('One value of one of these shapes. ')} The form is"
    yield "[report.schema.json](../report.schema.json), draft 2020-12; an unknown field is against it."
    rest = [each for each in parts if each not in shapes and _fields(parts[each], parts)]
    for name in [*shapes, *sorted(rest)]:
        part = parts[name]
        yield from ("", f"## {name}", "", part.get("description", "An array.") or "")
        if fields := _fields(part, parts):
            yield from ("", "| field | type | |", "|---|---|---|")
            for field, its in fields.items():
                yield f"| `{field}` | {_type(its, parts)} | {_cell(its.get('description', ''))} |"
        elif "items" in part:
            yield from ("", f"An array of {_type(part['items'], parts)}.")


def _fields(part: Mapping[str, Any], parts: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of an object, those of the parts that it is put together from first."""
    found: dict[str, Any] = {}
    for each in part.get("allOf", ()):
        found |= _fields(parts[each["$ref"].rpartition("/")[2]] if "$ref" in each else each, parts)
    return found | part.get("properties", {})


def _type(its: Mapping[str, Any], parts: Mapping[str, Any]) -> str:
    its = its or {}  # False: `items` that are given one by one
    if name := its.get("$ref", "").rpartition("/")[2]:
        return f"[{name}](#{name})" if _fields(parts[name], parts) else _type(parts[name], parts)
    if "const" in its:
        return f"`{json.dumps(its['const'])}`"
    if "enum" in its:
        return ", ".join(f"`{each}`" for each in its["enum"])
    for several in ("oneOf", "anyOf"):
        if several in its:
            return " or ".join(_type(each, parts) for each in its[several])
    return _plain(its, parts)


def _plain(its: Mapping[str, Any], parts: Mapping[str, Any]) -> str:
    kind = its.get("type", "any")
    if kind == "array":
        return f"array of {_type(its.get('items', {}), parts)}"
    return " or ".join(kind) if isinstance(kind, list) else str(kind)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", r"\|")


def _prose(text: str) -> str:
    """With parentheses instead of brackets, which could be taken for a link."""
    return _cell(text).replace("[", "(").replace("]", ")")


GENERATED: Mapping[Path, Callable[[], Iterator[str]]] = {
    REFERENCE / "cli.md": command_line,
    REFERENCE / "json.md": report_form,
}


def text_of(path: Path) -> str:
    return "\n".join(GENERATED[path]()) + "\n"
