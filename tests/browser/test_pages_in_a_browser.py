"""Pages in a browser: they work by mouse and by keyboard, ask nobody for anything, and are quick with 200 steps."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from helpers.failures import PLANTED, failure_of
from helpers.kit import Account, Bank
from helpers.lab_program import lab
from helpers.races import report_of
from playwright.sync_api import Browser, Page
from sqlalchemy import select, text, update

from lab import actor
from lab.explore import Conditions, Explorer
from lab.model.trace import Action, ActionKind
from lab.report.html.contents import failure_page
from lab.report.html.hunt_page import hunt_html
from lab.report.html.render import failure_html
from lab.report.section import Message
from lab.schedulers import make_scheduler
from lab.search.hunt import Hunt
from lab.search.races.page import races_html
from lab.search.result import reported

EIGHT = tuple(f"actor{number}" for number in range(1, 9))
MORE = {"stall": "RowBeforeTheProcessLock", "skew": "CountsAdminsWithoutLock", "fault": "KeyMadeAnew"}
"""Name of a page -> planted bug."""
HOSTILE = (
    "<script>window.broken = 1</script>",
    "\"><img src=x onerror='window.broken = 1'>",
    "' onmouseover='window.broken = 1",
    "{{ 7 * 7 }} {% raw %} ${7*7} `",
    "</script><!-- ]]> </style>",
    "\u202etxt.exe\u2066\u2069\u200f",
    "javascript:window.broken=1",
    "NUL \x00 and \x1b[31m",
)
ROUNDS = 6
LARGEST = 400_000
"""Bytes of a page without the user's data."""
LONGEST_TASK = 200
"""Milliseconds."""
MIDDLE = """(path) => {
  const at = path.getPointAtLength(path.getTotalLength() / 2).matrixTransform(path.getScreenCTM());
  return [at.x, at.y];
}"""
"""Where on the screen the middle of a curve is."""
WATCH = """
window.tasks = [];
new PerformanceObserver((list) => window.tasks.push(...list.getEntries().map((each) => each.duration)))
  .observe({type: "longtask", buffered: true});
"""


@dataclass(frozen=True)
class Crowd(Bank):
    """Eight actors that read and write four accounts."""

    @actor(names=EIGHT)
    async def work(self, session) -> None:
        for number in range(ROUNDS):
            await session.scalar(select(Account.balance).where(Account.id == number % 4 + 1))
            await session.execute(update(Account).where(Account.id == 4).values(balance=Account.balance + 1))
            if number % 2:
                await session.commit()


@dataclass(frozen=True)
class Hostile(Bank):
    """Statements and values that would be markup if they were not text."""

    @actor(names=("ann", "ben"))
    async def act(self, session) -> None:
        for each in HOSTILE:
            if "\x00" not in each:
                await session.execute(text("SELECT CAST(:value AS text) AS value"), {"value": each})
        await session.execute(text("SELECT '<script>window.broken = 1</script>' AS \"<b>\" /* \u202e */"))
        await session.commit()


async def in_a_hunt(explorer, name: str) -> str:
    failure = await failure_of(explorer, name)
    return failure_html(failure_page(Message(failure.record, failure, "lab replay TOKEN")))


async def of_a_crowd(explorer) -> str:
    record = await explorer.run(Crowd(), make_scheduler("random", 3), Conditions(), recorded=True, origins=True)
    assert len(record.trace) >= 200
    assert len(record.trace.actors) == 8
    return failure_html(failure_page(Message(record)))


async def of_hostile(explorer) -> str:
    """What PostgreSQL takes went through it; a NUL and ten million characters are put into the record by hand."""
    record = await explorer.run(Hostile(), make_scheduler("serial", 0), Conditions(), recorded=True, origins=True)
    (first, second, *rest) = record.trace.steps
    action = Action(ActionKind.STATEMENT, f"SELECT '{HOSTILE[-1]}' {'x' * 10_000_000}", (HOSTILE[-1],))
    trace = replace(record.trace, steps=(first, replace(second, action=action), *rest))
    return failure_html(failure_page(Message(replace(record, trace=trace, notes=HOSTILE))))


async def of_a_hunt(explorer) -> str:
    hunt = Hunt.of(PLANTED["RetryOfTheLastStatement"](), executions=40, keep_going=True, refine=False)
    result = await hunt.run(explorer)
    assert result.aborts
    return hunt_html(result, "portfolio(seed=0)", None, ["fail"], [None] * len(result.failures))


async def of_races(explorer) -> str:
    failures = [await failure_of(explorer, name) for name in ("LimitCheckedInPython", "RetryOfTheLastStatement")]
    return races_html(*report_of([reported(each, page=True) for each in failures]), said=HOSTILE)


async def all_pages(server) -> dict[str, str]:
    async with contextlib.aclosing(Explorer(server)) as explorer:
        return {
            "lost": await in_a_hunt(explorer, "LimitCheckedInPython"),
            "deadlock": await in_a_hunt(explorer, "RetryOfTheLastStatement"),
            "crowd": await of_a_crowd(explorer),
            "hostile": await of_hostile(explorer),
            "hunt": await of_a_hunt(explorer),
            "races": await of_races(explorer),
            **{name: await in_a_hunt(explorer, planted) for name, planted in MORE.items()},
        }


@pytest.fixture(scope="module")
def folder(server, tmp_path_factory) -> Path:
    """The pages as files. Made in an event loop that is gone when the browser's begins."""
    folder = tmp_path_factory.mktemp("pages")
    for name, page in asyncio.run(all_pages(server)).items():
        (folder / f"{name}.html").write_text(page, encoding="utf-8")
    lab("matrix", "LostCount", "--executions", "5", "--html", str(folder / "matrix.html"))
    few = ("--schedulers", "random,dpor", "--seeds", "2", "--seconds", "2")
    lab("tune", "LostCount", *few, "--html", str(folder / "tune.html"))
    return folder


@contextlib.contextmanager
def opened(chromium: Browser, folder: Path, name: str, width: int = 1280, **more: object) -> Iterator[Page]:
    """A page. It has to ask for nothing but its own file, and must complain of nothing."""
    asked: list[str] = []
    said: list[str] = []
    context = chromium.new_context(viewport={"width": width, "height": 900}, **more)  # type: ignore[arg-type]
    page = context.new_page()
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.goto((folder / f"{name}.html").as_uri())
    yield page
    context.close()
    assert asked == [(folder / f"{name}.html").as_uri()]
    assert not said


def test_an_arrow_says_its_sentence_to_the_mouse_and_to_the_keyboard(chromium, folder):
    with opened(chromium, folder, "lost") as page:
        tip, arrow = page.locator("#tip"), page.locator(".curve").first
        arrow.scroll_into_view_if_needed()
        page.mouse.move(*arrow.locator(".wide").evaluate(MIDDLE))
        assert tip.inner_text() == arrow.get_attribute("aria-label") == "phone read used=900 before laptop replaced it"
        page.mouse.move(1, 1)
        assert tip.is_hidden()
        page.locator(".curve").nth(1).focus()
        assert "overwrote" in tip.inner_text()
        assert page.locator("#arrow-2.hot").count() == 1
        page.keyboard.press("Escape")
        assert tip.is_hidden()


def test_the_button_copies_the_token(chromium, folder):
    with opened(chromium, folder, "lost", permissions=["clipboard-read", "clipboard-write"]) as page:
        page.get_by_role("button", name="Copy").click()
        page.get_by_role("button", name="Copied").wait_for()
        assert page.evaluate("navigator.clipboard.readText()") == page.locator("#token").inner_text()


def test_slider_and_arrow_keys_move_through_the_steps(chromium, folder):
    """What each actor sees follows: before laptop's COMMIT the old value, after it the new one, its own at once."""
    with opened(chromium, folder, "lost") as page:
        now, at = page.locator("#now"), page.locator("#at")
        page.locator("#slider").fill("3")
        assert now.locator("p.did").inner_text().startswith("laptop: UPDATE credit_line SET used=980")
        seen = now.locator("dl")
        assert "used=900" in seen.nth(0).inner_text()
        assert "used=980 (its own, not committed)" in seen.nth(1).inner_text()
        assert "holds the row credit_line 1 since #3" in seen.nth(1).inner_text()
        page.locator("h1").click()
        for _ in range(2):
            page.keyboard.press("ArrowRight")
        assert at.inner_text() == "5"
        assert "used=980 (of laptop, #3)" in seen.nth(0).inner_text()
        assert page.locator(".dot.now").get_attribute("data-step") == "5"
        page.keyboard.press("ArrowLeft")
        assert at.inner_text() == "4"
        page.get_by_role("button", name="One step forward").press("Enter")
        assert at.inner_text() == "5"
        page.locator("#dot-1").click()
        assert at.inner_text() == "1"
        page.locator("#pairslider").fill("3")
        assert page.locator(".pairs tr.now").count() == 1
        assert page.locator(".pairs tbody tr").nth(2).get_attribute("class") == "now"


def test_everything_that_can_be_used_is_reached_by_the_keyboard_and_shows_it(chromium, folder):
    with opened(chromium, folder, "deadlock") as page:
        reached = set()
        for _ in range(60):
            page.keyboard.press("Tab")
            found = page.evaluate(
                "(() => { const at = document.activeElement, style = getComputedStyle(at);"
                " return [at.id || at.className.baseVal || at.className || at.tagName, style.outlineStyle]; })()"
            )
            reached.add(found[0])
            assert found[0] == "BODY" or found[1] != "none", found
        assert {"slider", "token", "lanes", "curve waits", "BUTTON"} <= reached


def test_without_a_script_the_steps_the_rows_and_what_each_actor_had_are_read(chromium, folder):
    with opened(chromium, folder, "lost", java_script_enabled=False) as page:
        words = page.locator("main").inner_text()
        assert "The slider needs JavaScript" in words
        assert page.locator(".slide").first.is_hidden()
        page.get_by_text("Snapshot, locks and rows of each actor").click()
        assert "#3 holds the row credit_line 1 since #3" in page.locator("#had").inner_text()
        assert page.locator(".step").count() == 8


def test_hostile_texts_are_text(chromium, folder):
    with opened(chromium, folder, "hostile") as page:
        assert page.evaluate("window.broken") is None
        assert page.locator("img").count() == 0
        words = page.locator("body").text_content()
        for each in (HOSTILE[0], HOSTILE[1], HOSTILE[3], HOSTILE[4], r"\u202etxt.exe\u2066\u2069\u200f", r"NUL \x00"):
            assert each in words
        assert "10,000,0" in words
        for number in range(page.locator(".dot").count() + 1):
            page.locator("#slider").fill(str(number))
        assert page.evaluate("window.broken") is None


def test_two_hundred_steps_of_eight_actors_open_and_scroll_without_a_long_task(chromium, folder):
    page = (folder / "crowd.html").read_text(encoding="utf-8")
    statements = re.findall(r"<dt>SQL</dt><dd><code>(.*?)</code>", page, re.DOTALL)
    assert len(statements) >= 90
    assert len(page.encode()) - sum(map(len, statements)) <= LARGEST
    with contextlib.closing(chromium.new_context(viewport={"width": 1280, "height": 900})) as context:
        context.add_init_script(WATCH)
        page = context.new_page()
        page.goto((folder / "crowd.html").as_uri())
        for _ in range(12):
            page.mouse.wheel(0, 2000)
            page.wait_for_function("() => new Promise((done) => requestAnimationFrame(() => done(true)))")
        for _ in range(10):
            page.keyboard.press("ArrowLeft")
        assert page.evaluate("document.documentElement.scrollTop") > 5000
        assert max(page.evaluate("window.tasks"), default=0) <= LONGEST_TASK
        page.evaluate("() => setTimeout(() => { const began = Date.now(); while (Date.now() - began < 300); }, 0)")
        page.wait_for_function(f"() => window.tasks.some((each) => each > {LONGEST_TASK})")  # it would have been seen


LOOKED_AT = (
    *(("lost", 380), ("deadlock", 1280), ("hostile", 1920), ("hunt", 380), ("matrix", 380), ("tune", 380)),
    *(("stall", 380), ("fault", 1280), ("skew", 1920), ("crowd", 380)),
)


BY_SCHEME = [
    # The crowd has more of what the others have, and in the dark the same colours as they.
    pytest.param(name, width, scheme, marks=[pytest.mark.long] if (name, scheme) == ("crowd", "dark") else [])
    for name, width in LOOKED_AT
    for scheme in ("light", "dark")
]


@pytest.mark.parametrize(("name", "width", "scheme"), BY_SCHEME)
def test_axe_finds_nothing_serious_and_nothing_runs_over_the_edge(chromium, folder, name, width, scheme):
    with opened(chromium, folder, name, width, color_scheme=scheme, reduced_motion="reduce") as page:
        for each in page.locator("details").all()[:12]:
            each.evaluate("(one) => { one.open = true; }")
        found = Axe().run(page).response["violations"]
        assert not [
            (each["id"], each["nodes"][0]["html"]) for each in found if each["impact"] in ("serious", "critical")
        ]
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


SPREAD = """() => {
  const texts = [...document.querySelectorAll(".drawing text.label, .mark-stale text, .mark-stuck text")];
  const boxes = texts.map((each) => each.getBoundingClientRect());
  const lines = [...document.querySelectorAll(".curve .line")].map((line) => {
    const all = [], matrix = line.getScreenCTM();
    for (let at = 0; at < line.getTotalLength(); at += 4) all.push(line.getPointAtLength(at).matrixTransform(matrix));
    return all;
  });
  const within = (box, x, y) => x > box.left + 1 && x < box.right - 1 && y > box.top + 3 && y < box.bottom - 3;
  const over = texts.filter((_, n) => lines.some((line) => line.some((at) => within(boxes[n], at.x, at.y))));
  const meets = (a, b) => a.left < b.right - 1 && b.left < a.right - 1 && a.top < b.bottom - 4 && b.top < a.bottom - 4;
  const pairs = texts.filter((_, n) => boxes.some((box, m) => m > n && meets(boxes[n], box)));
  return [...over, ...pairs].map((each) => each.textContent);
}"""
"""Texts of the lanes that an arrow runs through, or that lie on each other."""


@pytest.mark.parametrize("name", ["lost", "deadlock", "skew", "stall", "fault"])
def test_no_arrow_runs_through_a_text_of_the_lanes_and_no_text_lies_on_another(chromium, folder, name):
    with opened(chromium, folder, name) as page:
        assert page.evaluate(SPREAD) == []


@pytest.mark.parametrize(("width", "scheme"), [(380, "dark"), (640, "light"), (1280, "dark")])
def test_on_the_page_of_races_axe_finds_nothing_and_nothing_runs_over_the_edge_when_all_is_open(
    chromium, folder, width, scheme
):
    """80 columns are 640 pixels."""
    with opened(chromium, folder, "races", width, color_scheme=scheme) as page:
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        page.evaluate("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
        assert not [(each["id"], each["nodes"][0]["html"]) for each in Axe().run(page).response["violations"]]
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert page.evaluate(SPREAD) == []
        assert page.evaluate("window.broken") is None


def test_the_page_of_races_opens_story_by_story_also_without_a_script(chromium, folder):
    with opened(chromium, folder, "races", java_script_enabled=False) as page:
        assert page.locator(".drawing").count() == 2
        assert page.locator(".drawing").first.is_hidden()
        page.get_by_text("What happened, why, and what helps").first.click()
        assert page.locator("#race-1-step-1").is_visible()
        assert page.locator("#race-2-step-1").is_hidden()
        page.get_by_role("link", name="Race 2").first.click()
        assert page.url.endswith("#race-2")


def test_on_paper_all_steps_are_there_and_no_control_is(chromium, folder):
    with opened(chromium, folder, "lost") as page:
        page.emulate_media(media="print")
        assert page.locator("nav").is_hidden()
        assert page.locator("#slider").is_hidden()
        assert page.locator(".step").last.is_visible()
        assert page.locator(".drawing").is_visible()
