"""The names that a generated file imports, each once; two of the same name get a number."""

from __future__ import annotations

from collections.abc import Iterator

__all__ = ["Names"]


class Names:
    """Collects imports while the text is made."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], str] = {}
        self._bare: set[str] = set()
        self._needed: set[str] = set()

    def of(self, module: str, path: str) -> str:
        """The expression for `path`, which may have dots, of a module."""
        name, dot, rest = path.partition(".")
        key = (module, name)
        if key not in self._known:
            taken = {*self._known.values()}
            number, chosen = 2, name
            while chosen in taken:
                chosen, number = f"{name}_{number}", number + 1
            self._known[key] = chosen
        return f"{self._known[key]}{dot}{rest}"

    def module(self, module: str) -> str:
        """The expression for a module itself."""
        parent, _, name = module.rpartition(".")
        if parent:
            return self.of(parent, name)
        self._bare.add(module)
        return module

    def of_class(self, cls: type) -> str:
        """The expression for a class."""
        return cls.__qualname__ if cls.__module__ == "builtins" else self.of(cls.__module__, cls.__qualname__)

    def need(self, module: str) -> None:
        """Import a module for what its import does."""
        self._needed.add(module)

    def lines(self) -> Iterator[str]:
        """The statements."""
        yield from (f"import {module}" for module in sorted(self._bare))
        yield from (f"import {module}  # noqa: F401 - its tables" for module in sorted(self._needed - self._bare))
        together: dict[str, list[str]] = {}
        for (module, name), chosen in self._known.items():
            together.setdefault(module, []).append(name if name == chosen else f"{name} as {chosen}")
        for module in sorted(together):
            yield f"from {module} import {', '.join(sorted(together[module]))}"
