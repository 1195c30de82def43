"""The text of a scenario: its imports, its tables and rows, and two actors that do the same."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass, field

from sqlalchemy import Table

from lab.commands.sketch.names import Names
from lab.commands.sketch.rows import NUMBER, Tables, insertion

__all__ = ["Draft"]

ACTORS = ("alice", "bob")


@dataclass(slots=True)
class Draft:
    """What a scenario is made of, before it is text."""

    names: Names
    subject: str
    """module:name of what is called."""
    name: str
    tables: Tables
    filled: list[Table]
    watched: list[tuple[str, str]]
    """(module, name) of each engine of the application."""
    asked: dict[str, str]
    """What an actor asks for -> its type."""
    bodies: list[list[str]]
    """The lines of each actor."""
    what: str
    """What both do: call place_order."""
    allows: list[str] = field(default_factory=list)
    """Expressions of the errors that an actor may end with."""
    ample: bool = False
    """Numbers are more, also those that would be 0 by default."""
    attributes: list[str] = field(default_factory=list)
    """Further lines of the class."""
    migrations: str = ""
    """The expression for the folder of Alembic's scripts, where they make the tables."""
    stated: list[str] = field(default_factory=list)
    """Invariants beside that of serial order, one a line."""

    @property
    def class_name(self) -> str:
        """In capitals."""
        return "".join(word[:1].upper() + word[1:] for word in self.name.split("_") if word) or "First"

    def text(self, target: str) -> str:
        """The whole file, for a scenario with this target."""
        names = self.names
        base, actor, serializable = (names.of("lab", each) for each in ("Scenario", "actor", "serializable"))
        inside = [*self._attributes(serializable), *self._schema(), *self._setup()]
        outside = list(self._migrate())
        for name, body in zip(ACTORS, self.bodies, strict=True):
            inside += ["", *self._actor(actor, name, body)]
        head = [
            f'"""Two requests {self.what} at the same time.',
            "",
            f"Written by `lab init {self.subject}`; `lab hunt {target}` searches it.",
            "Edit it as you like: the lab writes it once.",
            '"""',
            "",
            "from __future__ import annotations",
            "",
            *_blocks(list(names.lines()), self.subject.partition(":")[0].partition(".")[0]),
            "",
            "",
            *outside,
            f"class {self.class_name}({base}):",
            f'    """Both {self.what}; whoever is first, it must be as if the other came after it."""',
            "",
        ]
        return "\n".join([*head, *(f"    {line}".rstrip() for line in inside)]) + "\n"

    def _attributes(self, serializable: str) -> Iterator[str]:
        table = self.filled[0] if self.filled else self.tables.main()
        if table is not None:
            yield f"metadata = {self.tables.metadata_of(table, self.names)}"
        if self.watched:
            yield f"watch = ({''.join(f'{self.names.of(*each)}, ' for each in self.watched).rstrip(' ')})"
        if self.allows:
            allowed = "".join(f"{each}, " for each in self.allows).rstrip(" ")
            yield f"allows = ({allowed})  # met by the second when both come in turn"
        yield from self.attributes
        yield ""
        yield f"as_if_one_after_the_other = {serializable}()"
        yield from self.stated

    def _schema(self) -> Iterator[str]:
        if self.migrations:
            connection = self.names.of("sqlalchemy.ext.asyncio", "AsyncConnection")
            yield from ("", "@classmethod", f"async def schema(cls, connection: {connection}) -> None:")
            yield '    """The tables, as the migrations make them."""'
            yield "    await connection.run_sync(migrate)"

    def _migrate(self) -> Iterator[str]:
        """A function beside the scenario, in the way of Alembic's cookbook: on a connection that is given."""
        if self.migrations:
            config, command = self.names.of("alembic.config", "Config"), self.names.of("alembic", "command")
            yield f"def migrate(connection: {self.names.of('sqlalchemy', 'Connection')}) -> None:"
            yield '    """Bring the lab\'s database to the head."""'
            yield f"    config = {config}()"
            yield f'    config.set_main_option("script_location", str({self.migrations}))'
            yield '    config.attributes["connection"] = connection'
            yield f'    {command}.upgrade(config, "head")'
            yield from ("", "")

    def _setup(self) -> Iterator[str]:
        if not self.filled:
            return
        session = self.names.of("sqlalchemy.ext.asyncio", "AsyncSession")
        yield ""
        yield f"async def setup(self, session: {session}) -> None:"
        yield f'    """{NUMBER} rows of each table that the requests need. Edit them as your code wants them."""'
        for table in self.filled:
            yield from (f"    {line}" for line in insertion(table, self.tables, self.names, ample=self.ample))

    def _actor(self, actor: str, name: str, body: list[str]) -> Iterator[str]:
        asked = "".join(f", {wanted}: {kind}" for wanted, kind in self.asked.items())
        yield f"@{actor}"
        returned = "object" if body[-1].startswith("return") else "None"
        yield f"async def {name}(self{asked}) -> {returned}:"
        yield from (f"    {line}" for line in body)


def _blocks(lines: list[str], own: str) -> Iterator[str]:
    """Imports as formatters have them: Python's own, libraries', the project's."""
    blocks: tuple[list[str], list[str], list[str]] = ([], [], [])
    for line in lines:
        top = line.split()[1].partition(".")[0]
        blocks[0 if top in sys.stdlib_module_names else 2 if top == own else 1].append(line)
    for number, block in enumerate(each for each in blocks if each):
        yield from [""] * bool(number)
        yield from block
