"""The client of one actor: httpx's, whose requests the application answers in the actor's own task.

What went wrong in the application is the actor's to report: an exception goes through the client, and an answer of 500
or more that nobody allows is an exception of its own. Only where the server refused the work, an answer stands for that
refusal. How does one know? By the server's last answer to the request; and, for a stale version, which the server knows
nothing of, by the exception that is being handled while the answer begins, as the handlers of Starlette do it.
"""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any

import httpx

from lab.engine.hearing import Heard, hearing
from lab.explore.asgi.websocket import WebSocket, opened
from lab.model.answer import Answer
from lab.model.outcome import ABORT_STATES
from lab.postgres.recording.refusals import reason_of

__all__ = ["Client", "Refused", "UnexpectedAnswer"]

BASE_URL = "https://localhost"
"""HTTPS: cookies that are marked as secure come back, and nobody is sent there first."""
_REFUSAL = "lab_refusal"
"""In the extensions of a response: the refusal of the server that it stands for."""
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
    """An `httpx.AsyncClient` for one application. `state` is what its lifespan left; `allows` are statuses."""

    def __init__(self, app: App, state: dict[str, Any], allows: frozenset[int]) -> None:
        self._opened = _with_state(app, state)
        self._transport_of_lab = _Transport(self._opened, allows)
        super().__init__(transport=self._transport_of_lab, base_url=BASE_URL, trust_env=False)

    def websocket(self, path: str, **options: Any) -> AbstractAsyncContextManager[WebSocket]:
        """A websocket of the application, for an `async with`. `options`: headers, params, subprotocols."""
        subprotocols = options.pop("subprotocols", ())
        return opened(self._opened, self.build_request("GET", path, **options), tuple(subprotocols))

    def judging(self, method: Callable[..., Awaitable[object]]) -> Callable[..., Awaitable[object]]:
        """A method that asks this client, with what its result says to others."""

        async def judged(**given: object) -> object:
            try:
                return self._result(await method(**given))
            except httpx.HTTPStatusError as error:
                if _REFUSAL in error.response.extensions:
                    raise _refusal_of(error.response) from error.response.extensions[_REFUSAL].handled
                raise

        return judged

    def _result(self, value: object) -> object:
        """Raises `Refused` where the last answer stands for a refusal of the server, or the one that is returned."""
        last = self._transport_of_lab.last
        for response in (value, last):
            if isinstance(response, httpx.Response) and _REFUSAL in response.extensions:
                raise _refusal_of(response) from response.extensions[_REFUSAL].handled
        return _plain(last if value is None else value)


@dataclass(frozen=True, slots=True)
class _Refusal:
    sqlstate: str
    """ "" for a stale version."""
    handled: BaseException | None
    """What the application handled when it began to answer, if that stands for a refusal."""


class _Transport(httpx.AsyncBaseTransport):
    def __init__(self, app: App, allows: frozenset[int]) -> None:
        self._app, self._allows = app, allows
        self.last: httpx.Response | None = None

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        handled: list[BaseException | None] = [None]
        noting = _noting(self._app, handled)
        inner = httpx.ASGITransport(noting, raise_app_exceptions=_LEAST_FAILURE not in self._allows)
        with hearing() as heard:
            response = await inner.handle_async_request(request)
        response.request = request
        await response.aread()
        if response.status_code >= _LEAST_ERROR:
            self._judge(request, response, heard, handled[0])
        self.last = response
        return response

    def _judge(
        self, request: httpx.Request, response: httpx.Response, heard: Heard, handled: BaseException | None
    ) -> None:
        """Mark an answer that stands for a refusal. Raises `UnexpectedAnswer` for one that nobody allows."""
        reason = reason_of(handled) if handled is not None else ""
        if reason or heard.refusal in ABORT_STATES:
            sqlstate = heard.refusal if heard.refusal in ABORT_STATES else ""
            response.extensions[_REFUSAL] = _Refusal(sqlstate, handled if reason else None)
        elif response.status_code >= _LEAST_FAILURE and response.status_code not in self._allows:
            raise UnexpectedAnswer(_sentence(response)) from handled


def _noting(app: App, handled: list[BaseException | None]) -> App:
    """The application, with the exception that is being handled while it begins to answer."""

    async def noting(scope: dict[str, Any], receive: Any, send: Any) -> None:
        async def sending(message: dict[str, Any]) -> None:
            if message["type"] == "http.response.start":
                handled[0] = sys.exception()
            await send(message)

        await app(scope, receive, sending)

    return noting


def _with_state(app: App, state: dict[str, Any]) -> App:
    async def with_state(scope: dict[str, Any], receive: Any, send: Any) -> None:
        await app({**scope, "state": state.copy()}, receive, send)

    return with_state


def _refusal_of(response: httpx.Response) -> Refused:
    return Refused(_sentence(response), response.extensions[_REFUSAL].sqlstate)


def _sentence(response: httpx.Response) -> str:
    request = response.request
    return f"{request.method} {request.url.raw_path.decode('ascii')} answered {_answer(response)!r}"


def _plain(value: Any) -> object:
    """A value with answers instead of responses, which are no values."""
    if isinstance(value, httpx.Response):
        return _answer(value)
    if type(value) in (list, tuple, set):
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
