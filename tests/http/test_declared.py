"""What is said of an application that cannot be used, before anything is run."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from dataclasses import dataclass

import bank
import pytest
from bank import Bank

import lab
from lab import actor
from lab.errors import ScenarioError
from lab.scenario.validation import validate

WRONG = {
    "no application": (lambda: lab.http("main:app"), "lab.http got 'main:app', which is no ASGI application"),
    "no lifespan": (
        lambda: lab.http(bank.app, lifespan="test"),
        "lifespan='test'; known are 'execution', 'hunt', None",
    ),
    "no tuple": (lambda: lab.http(bank.app, allows=503), r"allows=503; it is a tuple, as in allows=\(503,\)"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_no_application_is_refused_where_it_is_named(case):
    make, message = WRONG[case]
    with pytest.raises(ScenarioError, match=message):
        make()


def test_without_the_extra_one_sentence_says_what_to_install(monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "httpx" else find(name))
    with pytest.raises(ScenarioError, match=r"pip install 'concurrency-lab\[http\]'$"):
        lab.http(bank.app)


def test_a_client_needs_an_application():
    @dataclass(frozen=True)
    class Asks(Bank):
        @actor(names=("alice", "bob"))
        async def ask(self, client, name):
            pass

    with pytest.raises(ScenarioError, match=r"Asks.ask asks for 'client'.*app = lab.http\(main.app\)"):
        validate(Asks)


def test_a_client_is_of_one_application():
    @dataclass(frozen=True)
    class Two(Bank):
        app = lab.http(bank.app)
        other = lab.http(bank.plain)

        @actor(names=("alice", "bob"))
        async def ask(self, client, name):
            pass

    @dataclass(frozen=True)
    class One(Two):
        other = None

    with pytest.raises(ScenarioError, match="the applications app, other"):
        validate(Two)
    validate(One)


def test_the_lab_loads_httpx_only_for_a_client():
    """Neither the package nor a search without an application loads it."""
    script = "import sys, lab, lab.cli, lab.search.hunt, lab.scenario.http; print('httpx' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
