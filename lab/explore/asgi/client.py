"""The client of one actor: httpx's, whose requests the application answers in the actor's own task.

What went wrong in the application is the actor's to report: an exception goes through the client, and an answer of 500
or more that nobody allows is an exception of its own. Only where the server refused the work, an answer stands for that
refusal. How does one know? By the last thing that a task of the request heard of the server; and by the exception that
is being handled while the answer begins, as the handlers of Starlette do it.
"""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import httpx
from sqlalchemy.orm.exc import StaleDataError

from lab.engine.hearing import Heard, hearing
from lab.explore.asgi.websocket import WebSocket, opened
from lab.model.answer import Answer
from lab.model.outcome import ABORT_STATES
from lab.model.remedy import STALE
from lab.postgres.recording.refusals import reason_of

__all__ = ["Client", "Refused", "UnexpectedAnswer"]

BASE_URL = "https://localhost"
"""HTTPS: cookies that are marked as secure come back, and nobody is sent there first."""
_REFUSAL = "lab_refusal"
"""In the extensions of a response: the refusal that it stands for, and the exception that was being handled."""
BEHIND = "what a client asks while the application still works behind its answer to {} {}: it asks when that is done"
_REFUSALS = ABORT_STATES | {STALE}
_TEXT = [(b"content-type", b"text/plain; charset=utf-8")]
_LEAST_ERROR, _LEAST_FAILURE = 400, 500

App = Callable[..., Awaitable[None]]


class UnexpectedAnswer(Exception):
    """The application answered with a status of 500 or more that nobody allows."""


class Refused(Exception):
    """The application answered so because the server refused its work."""

    def __init__(self, text: str, sqlstate: str) -> None:
        super().__init__(text)
        self.sqlstate = sqlstate


class Client(httpx.AsyncClient):
    """An `httpx.AsyncClient` for one application. `state` is what its lifespan left; `allows` are statuses.

    It adds to `unsearched` what it could have done in another order, as `ExecutionRecord.unsearched` says it.
    """

    def __init__(self, app: App, state: dict[str, Any], allows: frozenset[int], unsearched: dict[str, None]) -> None:
        self._app = _with_state(app, state)
        self._answers = _Transport(self._app, allows, unsearched)
        super().__init__(transport=self._answers, base_url=BASE_URL, trust_env=False)

    def websocket(self, path: str, **options: Any) -> AbstractAsyncContextManager[WebSocket]:
        """A websocket of the application, for an `async with`. `options`: headers, params, subprotocols."""
        subprotocols = options.pop("subprotocols", ())
        return opened(self._app, self.build_request("GET", path, **options), tuple(subprotocols))

    def judging(self, method: Callable[..., Awaitable[object]]) -> Callable[..., Awaitable[object]]:
        """A method that asks this client, with what its result says to others."""

        async def judged(**given: object) -> object:
            try:
                return self._result(await method(**given))
            except httpx.HTTPStatusError as error:
                _raise_refusal(error.response)
                raise

        return judged

    def _result(self, value: object) -> object:
        """Raises `Refused` where the last answer stands for a refusal of the server, or the one that is returned."""
        last = self._answers.last
        for response in (value, last):
            if isinstance(response, httpx.Response):
                _raise_refusal(response)
        return _plain(last if value is None else value)


@dataclass(slots=True)
class _Met:
    """What a request met in the application until the answer began."""

    handled: BaseException | None = None
    """The exception that was being handled."""
    traceback: TracebackType | None = None
    """Its own, which Starlette takes from it in the end."""
    status: int | None = None
    heard: tuple[str, ...] = ()
    """For each of its tasks, the last thing that it heard of the server, "" where that was no error."""
    answers: int | None = None
    """How many answers of the server it heard until its own was complete; None while it is not."""

    def refusal(self) -> str:
        """The SQLSTATE, or `STALE`, for which an answer stands that says that something is wrong; "" for none."""
        reason = "" if self.handled is None else reason_of(self.handled)
        return next((each for each in (reason, *self.heard) if each in _REFUSALS), "")


class _Transport(httpx.AsyncBaseTransport):
    def __init__(self, app: App, allows: frozenset[int], unsearched: dict[str, None]) -> None:
        self._app, self._allows, self._unsearched = app, allows, unsearched
        self.last: httpx.Response | None = None
        self._behind = ""
        """What the application did behind an answer, so that another request came later than it would."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if self._behind:
            self._unsearched[self._behind] = None
        met = _Met()
        with hearing() as heard:
            watched = _watched(self._app, met, heard, fails=_LEAST_FAILURE not in self._allows)
            response = await httpx.ASGITransport(watched).handle_async_request(request)
        if met.handled is not None:
            met.handled.__traceback__ = met.traceback
        response.request = request
        await response.aread()
        if met.answers is not None and heard.answers > met.answers:
            self._behind = BEHIND.format(request.method, request.url.path)
        status = response.status_code
        if status >= _LEAST_ERROR and (refusal := met.refusal()):
            response.extensions[_REFUSAL] = refusal, met.handled
        elif status >= _LEAST_FAILURE and status not in self._allows:
            raise UnexpectedAnswer(_sentence(response)) from met.handled
        self.last = response
        return response


def _watched(app: App, met: _Met, heard: Heard, *, fails: bool) -> App:
    """The application, with what a request met in it until the answer began.

    Unless it `fails` with what it raises, that is the answer 500, where none was begun.
    """
    around = sys.exception()

    async def watched(scope: dict[str, Any], receive: Any, send: Any) -> None:
        async def sending(message: dict[str, Any]) -> None:
            if message["type"] == "http.response.start":
                met.status, met.handled = message["status"], _within(sys.exception(), around)
                met.traceback = None if met.handled is None else met.handled.__traceback__
                met.heard = tuple(heard.errors.values())
            elif message["type"] == "http.response.body" and not message.get("more_body"):
                met.answers = heard.answers
            await send(message)

        try:
            await app(scope, receive, sending)
        except Exception:
            if fails or met.status not in (None, _LEAST_FAILURE):
                raise
            if met.status is None:
                await sending({"type": "http.response.start", "status": _LEAST_FAILURE, "headers": _TEXT})
                await sending({"type": "http.response.body", "body": b"Internal Server Error"})

    return watched


def _within(handled: BaseException | None, around: BaseException | None) -> BaseException | None:
    """What the application handles, without what the actor handles itself that asks."""
    if handled is around:
        return None
    each, seen = handled, set[int]()
    while each is not None and id(each) not in seen:
        seen.add(id(each))
        if each.__context__ is around:
            each.__context__ = None
        each = each.__context__
    return handled


def _with_state(app: App, state: dict[str, Any]) -> App:
    async def with_state(scope: dict[str, Any], receive: Any, send: Any) -> None:
        await app({**scope, "state": state.copy()}, receive, send)

    return with_state


def _raise_refusal(response: httpx.Response) -> None:
    """Raises `Refused` for an answer that stands for a refusal."""
    refusal, handled = response.extensions.get(_REFUSAL, ("", None))
    if not refusal:
        return
    stale = refusal == STALE
    cause = StaleDataError(STALE) if stale and handled is None else handled
    raise Refused(_sentence(response), "" if stale else refusal) from cause


def _sentence(response: httpx.Response) -> str:
    request = response.request
    return f"{request.method} {request.url.raw_path.decode('ascii')} answered {_answer(response)!r}"


def _plain(value: Any) -> object:
    """A value with answers instead of responses, which are no values."""
    if isinstance(value, httpx.Response):
        return _answer(value)
    if type(value) in (list, tuple):
        return type(value)(map(_plain, value))
    if type(value) is dict:
        return {key: _plain(each) for key, each in value.items()}
    return value


def _answer(response: httpx.Response) -> Answer:
    kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    if not response.content:
        return Answer(response.status_code)
    if kind == "application/json" or kind.endswith("+json"):
        try:
            return Answer(response.status_code, response.json())
        except ValueError:
            return Answer(response.status_code, response.text)
    plain = kind.startswith("text/") or not kind or "charset" in response.headers.get("content-type", "")
    return Answer(response.status_code, response.text if plain else response.content)
