"""The shop of examples/shop as it is, and mended by its patches: imported one at a time, since both are `shop`."""

from __future__ import annotations

import contextlib
import importlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import lab
from lab import Scenario, actor
from lab.scenario.declare import actors_of

SHOP = Path(__file__).parents[2] / "examples" / "shop"
RACES = ("LastMug", "LastCoupon", "FirstVisit", "PaidAndCancelled", "GiftsBothWays")


@dataclass
class Copy:
    """A folder with a shop in it, and its modules once they are imported."""

    folder: Path
    modules: dict[str, ModuleType] = field(default_factory=dict)

    @contextlib.contextmanager
    def imported(self) -> Iterator[Copy]:
        """For the block, `shop` and `lab_scenarios` are those of this folder."""
        sys.modules.update(self.modules)
        sys.path.insert(0, str(self.folder))
        importlib.invalidate_caches()
        try:
            importlib.import_module("lab_scenarios")
            yield self
        finally:
            sys.path.remove(str(self.folder))
            names = [name for name in sys.modules if name.split(".")[0] in ("shop", "lab_scenarios")]
            self.modules = {name: sys.modules.pop(name) for name in names}

    def scenario(self, name: str) -> Scenario:
        """A scenario of `lab_scenarios`."""
        return getattr(sys.modules["lab_scenarios"], name)()

    def service(self, name: str) -> Callable[..., Any]:
        """A coroutine function of `shop.services`, by `module.function`."""
        module, function = name.split(".")
        return getattr(importlib.import_module(f"shop.services.{module}"), function)

    def line_of(self, code: str, within: str) -> tuple[str, int]:
        """File and line of the one line that holds this code, under `shop/services`."""
        path = self.folder / "shop" / "services" / within
        (found,) = (number for number, line in enumerate(path.read_text().splitlines(), 1) if code in line)
        return f"shop/services/{within}", found

    def by_service(self, name: str) -> Scenario:
        """The same race without HTTP: the actors call the service with a session of the lab's."""
        services = {
            "LastMug": self.service("checkout.checkout"),
            "LastCoupon": lambda session, name: self.service("coupons.redeem")(session, name, "WELCOME"),
            "FirstVisit": self._cart_and_items,
            "PaidAndCancelled": lambda session, name: self.service(f"orders.{name}")(session, 1),
            "GiftsBothWays": lambda session, name: self.service("points.transfer")(
                session, name, {"alice": "bob", "bob": "alice"}[name], 10
            ),
        }
        names = tuple(each.name for each in actors_of(type(self.scenario(name))))

        async def call(self, session, name) -> None:
            await services[type(self).__name__](session, name)

        members = {
            "__module__": __name__,
            "schema": staticmethod(sys.modules["shop.seed"].prepare),
            "session_options": {"expire_on_commit": False},
            "allows": (sys.modules["shop.errors"].ConflictError,),
            "call": actor(names=names)(call),
            "like_one_after_the_other": lab.serializable(),
            "nobody_waits_in_a_circle": lab.no_deadlock(),
        }
        return type(name, (Scenario,), members)()

    async def _cart_and_items(self, session, name) -> None:
        cart = await self.service("carts.get_cart")(session, "carol")
        await self.service("carts.items_of")(session, cart)

    def own_tests(self, url: str) -> subprocess.CompletedProcess[str]:
        """Run the tests that the shop has itself, on this database."""
        environment = {**os.environ, "SHOP_DATABASE_URL": url}
        command = (sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:randomly")
        return subprocess.run(
            command, cwd=self.folder, env=environment, capture_output=True, text=True, check=False, timeout=120
        )


def copied(folder: Path, *, patched: bool) -> Copy:
    """A copy of the shop; patched, each race in it is mended."""
    shutil.copytree(SHOP, folder, ignore=shutil.ignore_patterns("__pycache__"))
    if patched:
        patches = sorted((folder / "fixes").glob("*.patch"))
        assert len(patches) == len(RACES)
        environment = {**os.environ, "GIT_CEILING_DIRECTORIES": str(folder.parent)}
        subprocess.run(["git", "apply", "-p1", *map(str, patches)], cwd=folder, env=environment, check=True)
    return Copy(folder)
