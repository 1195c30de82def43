"""A page says all that the text report and the JSON say, of failures of every kind; what is hostile in it is text."""

from __future__ import annotations

import json
import os
import random
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from helpers import records
from helpers.failures import KINDS, PLANTED, failure_of
from helpers.kit import Order
from helpers.seen import HTML, Seen, leaves, squeezed

from lab.errors import printable
from lab.explore import Conditions
from lab.model.replay_token import decode, scenario_of
from lab.model.trace import Action, ActionKind
from lab.report.failure import SECTIONS, failure_report
from lab.report.html.contents import FailurePage, failure_page
from lab.report.html.lanes import drawing
from lab.report.html.render import failure_html
from lab.report.html.texts import harmless
from lab.report.section import Message, parts
from lab.scenario.declare import planted_bug_of
from lab.schedulers.replay import Replay
from lab.search.result import reported
from scenarios.deadlock import RingOfFour

FUZZ = int(os.environ.get("LAB_FUZZ", "60"))
DRAWN_INSTEAD = {"story"}
"""Sections of the text that a page does not repeat; every step of them is looked for by itself."""


def missing(page: Seen, message: Message) -> list[str]:
    """Facts of the text report that stand nowhere on the page but in its copy of that report."""
    drawn = page.text("all")
    lines = [
        line for part in parts(SECTIONS.values(), message) if part.name not in DRAWN_INSTEAD for line in part.lines
    ]
    return [line for line in lines if not all(squeezed(harmless(word.strip(";"))) in drawn for word in line.split())]


@pytest.mark.parametrize("name", KINDS)
async def test_the_page_of_a_failure_has_every_fact_of_its_text_and_of_its_json(explorer, name):
    """Of each kind: the lines of the text, the steps of the story, and each value of what `--json` prints."""
    failure = await failure_of(explorer, name)
    message = Message(failure.record, failure, "lab replay TOKEN")
    data = failure_page(message).dump()
    page = Seen(failure_html(FailurePage.load(json.loads(json.dumps(data)))))
    assert not missing(page, message)
    drawn = page.text("all")
    for step in data["story"]["steps"]:
        assert squeezed(harmless(step["text"])) in drawn
    whole = page.text()
    shown = {key: value for key, value in reported(failure).shown().items() if key != "fresh_process"}
    assert not [each for each in leaves(json.loads(json.dumps(shown))) if squeezed(harmless(each)) not in whole]


def facts(data: dict[str, Any]) -> Iterator[str]:
    """What a page draws beside the report's own lines: arrows, waits, bands, what is stale, who cannot go on, why."""
    story, drawn = data["story"], drawing(data)
    for curve in drawn.curves:
        yield curve.arrow.source
        yield from (f"#{step}" for step in (curve.arrow.start, curve.arrow.end) if data["explanation"])
    yield from (band.text for band in drawn.bands)
    for each in story["stale"]:
        yield f"stale from here: {each['what']} as {each['actor']} read it in #{each['read']}"
        yield each["writer"]
    for step in story["steps"]:
        wait = step["wait"] or {"holders": [], "target": ""}
        yield from (step["actor"] or "", *(() if step["pause"] is not None else wait["holders"]), wait["target"])
    for stall in story["stalls"]:
        yield from (each["what"] for each in stall["holds"])
        yield from (stall["wants"]["what"], stall["wants"]["state"]) if stall["wants"] else (stall["lock"]["target"],)
    if data["cause"]:
        yield from (data["cause"]["name"], data["cause"]["text"], data["cause"]["fix"])
    yield from (result["text"] for result in story["results"].values() if result["text"] != "None")
    yield from (data["token"], *data["places"].values(), *data["facts"]["scheduler"].split())
    yield from (*story["unsearched"], *story["notes"])


@pytest.mark.parametrize("name", KINDS)
async def test_the_text_at_eighty_columns_has_every_fact_that_the_page_draws(explorer, name):
    """The other way round, without colour: nobody needs a browser to know what a page knows."""
    failure = await failure_of(explorer, name)
    message = Message(failure.record, failure, "lab replay TOKEN", 80)
    data = failure_page(message).dump()
    words = squeezed(failure_report(failure, width=80)).replace("─", "")
    assert not [each for each in facts(data) if squeezed(printable(each)) not in words]


WHY = {
    "LocksInOppositeOrder": ("takes Shop.prices", "waits for Shop.stock", "process locks in opposite order"),
    "TwoConnectionsARequest": ("takes a connection of the pool", "second connection of a full pool"),
    "RowBeforeTheProcessLock": ("takes Shop.stock", "waits for row (0,1) of counter", "row held while waiting"),
    "LostUpdate": ("stale from here: bob committed it", "by stale #1 and #2: UPDATE account"),
    "KeyMadeAnew": ("⚡ fault: the COMMIT of bob reaches the server, and its answer gets lost", "commit in doubt"),
    "LimitCheckedInPython": ("stale from here: laptop committed it", "by stale #1: UPDATE credit_line"),
    "CountsAdminsWithoutLock": ("stale from here: ben committed it", "by stale #1: COMMIT"),
}


@pytest.mark.parametrize("name", WHY)
async def test_the_lanes_show_what_was_stale_taken_and_waited_for_and_the_page_what_to_do(explorer, name):
    failure = await failure_of(explorer, name)
    page = failure_page(Message(failure.record, failure, "lab replay TOKEN")).dump()
    seen = Seen(failure_html(FailurePage.load(page)))
    for each in WHY[name]:
        assert squeezed(each) in seen.text("all"), each
        if each.startswith(("takes ", "by stale ")):  # so do the steps, one by one
            assert squeezed(each.partition(":")[0]) in squeezed("".join(seen.texts["steps"])), each
    assert squeezed(page["cause"]["fix"]) in squeezed("".join(seen.texts["why"]))
    assert squeezed("it was not run") in squeezed("".join(seen.texts["why"]))


async def test_both_edges_of_a_deadlock_of_a_lock_and_a_row_are_arrows_to_where_each_was_taken(explorer):
    failure = await failure_of(explorer, "RowBeforeTheProcessLock")
    page = failure_page(Message(failure.record, failure, "lab replay TOKEN")).dump()
    drawn = drawing(page)
    assert [(each.arrow.start, each.arrow.end, each.arrow.source) for each in drawn.curves] == [
        (4, 3, "recount"),
        (3, 1, "sale"),
    ]
    assert [span.text.partition(" waits for ")[0] for span in drawn.spans] == ["recount", "sale"]
    locks = {view["actor"]: dict(view["locks"]) for view in page["views"]}
    assert "holds asyncio.Lock `Shop.stock` since #1" in locks["recount"][1]
    assert "waits for asyncio.Lock `Shop.stock` since #3" in locks["sale"][3]


async def test_a_select_that_locks_says_so_in_its_lane(explorer):
    failure = await failure_of(explorer, "LocksTheLatestEntry")
    page = failure_page(Message(failure.record, failure, "lab replay TOKEN")).dump()
    assert "FOR UPDATE" in drawing(page).dots[0].label


@pytest.mark.parametrize("name", list(KINDS)[::3])
async def test_at_eighty_columns_the_text_has_every_fact_of_the_wide_one(explorer, name):
    """No line is longer but those that stay whole, and no word is lost. Without colour, as all reports are."""
    failure = await failure_of(explorer, name)
    wide = failure_report(failure)
    narrow = failure_report(failure, width=80)
    whole = [line for line in narrow.splitlines() if len(line) > 80]
    assert all(line.startswith(("Replay ", "More ", "     or ")) for line in whole)
    words = squeezed(narrow)
    assert not [word for word in wide.split() if word not in words and set(word) != {"─"}]


async def test_a_deadlock_of_four_is_drawn_as_a_circle_of_four(explorer):
    """Four names, four arrows, each with who waits for whom; and each wait is a span in its lane."""
    order = "ann ben cleo dan ann ben cleo dan"
    record = await explorer.run(RingOfFour(), Order(order), recorded=True, origins=True)
    assert [len(cycle) for cycle in record.deadlocks] == [4]
    page = Seen(failure_html(failure_page(Message(record))))
    (label,) = (
        values["aria-label"]
        for tag, values in page.elements
        if (values.get("aria-label") or "").startswith("The cycle")
    )
    assert len(re.findall(r"\w+ waits for \w+:", label)) == 4
    spans = [values for tag, values in page.elements if (values.get("class") or "").startswith("span")]
    assert len(spans) >= 3
    assert all("waits for" in values["aria-label"] or "frozen" in values["aria-label"] for values in spans)


async def test_what_each_actor_sees_follows_its_level(explorer):
    """At READ COMMITTED a statement sees what was committed before it; a snapshot keeps what was there at its first."""
    for name, level, sees in (
        ("LimitCheckedInPython", None, "used=980 (of laptop, #3)"),
        ("LimitCheckedInPython", "REPEATABLE READ", "used=900"),
    ):
        token = decode(planted_bug_of(PLANTED[name]).token)
        scenario = scenario_of(token, PLANTED[name])
        order = Order("phone laptop laptop laptop laptop")
        record = await explorer.run(scenario, order, Conditions(level), recorded=True)
        page = failure_page(Message(record)).dump()
        (phone,) = (view for view in page["views"] if view["actor"] == "phone")
        changes = dict(phone["rows"])["credit_line 1"]
        assert [text for step, text in changes if step <= 5][-1] == sees, level


async def test_a_transaction_of_which_nothing_was_recorded_is_not_said_to_be_absent(explorer):
    """The statement that pauses was refused, so its reads and writes are not known; that it was sent is."""
    cls = PLANTED["PriceListsInOrderOfTheFile"]
    token = decode(planted_bug_of(cls).token)
    record = await explorer.run(scenario_of(token, cls), Replay(token.schedule), recorded=True)
    (grocer,) = (view for view in failure_page(Message(record)).dump()["views"] if view["actor"] == "grocer")
    said = dict(grocer["snapshot"])
    assert said[1] == "a transaction may be open since #1; its reads and writes are not known"
    assert said[3].startswith("none: the server broke the transaction off")
    assert list(said.values())[-1] == "no transaction is open"


async def test_a_transaction_that_the_server_broke_off_is_open_until_its_rollback(explorer):
    """It has no snapshot and no locks, but it is not gone: whatever else is sent in it fails."""
    cls = PLANTED["OrmUpdatesInOppositeOrder"]
    token = decode(planted_bug_of(cls).token)
    record = await explorer.run(scenario_of(token, cls), Replay(token.schedule), recorded=True)
    refused = next(step for step in record.trace if step.result is not None and step.result.error)
    rolled_back = next(
        step for step in record.trace if step.actor == refused.actor and step.action.kind is ActionKind.ROLLBACK
    )
    (view,) = (each for each in failure_page(Message(record)).dump()["views"] if each["actor"] == refused.actor)
    said = dict(view["snapshot"])
    assert said[refused.number].startswith("none: the server broke the transaction off")
    assert said[rolled_back.number] == "no transaction is open"
    assert dict(view["locks"])[refused.number] == "none known"


def test_what_no_record_holds_breaks_a_page_and_nothing_of_it_is_an_element():
    """Records with control characters, quotes, half characters: the same elements as ever, and no handlers."""
    chance = random.Random(13)
    for _ in range(FUZZ):
        failure = records.failure(chance)
        text = failure_html(failure_page(Message(failure.record, failure, "lab replay TOKEN")))
        text.encode()
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", text)
        page = Seen(text)
        assert {tag for tag, _ in page.elements} <= HTML
        assert sum(tag == "script" for tag, _ in page.elements) == 1
        assert not [name for _, values in page.elements for name in values if name.startswith("on") or name == "style"]
        assert "a defect of its own" not in page.text() or failure.record.defects


def test_a_value_of_ten_million_characters_is_folded_and_its_length_said():
    """In the SQL, in a bound value and in the answer; a page stays one that can be opened."""
    record = records.record(random.Random(5))
    huge = "x" * 10_000_000
    (first, *rest) = record.trace.steps
    action = Action(ActionKind.STATEMENT, f"SELECT '{huge}'", (huge,))
    trace = replace(record.trace, steps=(replace(first, action=action), *rest))
    text = failure_html(failure_page(Message(replace(record, trace=trace))))
    assert len(text) < 400_000
    assert "10,000,000 characters, of which the page has 20,000" in text
    assert "10,000,009 characters, of which the page has 20,000" in text
