"""A bank as a web application: one endpoint for each thing that an application may have around its statements."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Annotated

import anyio.from_thread
from fastapi import BackgroundTasks, Depends, FastAPI, Header, HTTPException, Request, Response, WebSocket
from fastapi.responses import JSONResponse, StreamingResponse
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.orm.exc import StaleDataError
from starlette.applications import Starlette
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.routing import Route

from lab import Scenario

engine = create_async_engine("postgresql+asyncpg://nobody@localhost:1/app")
sessions = async_sessionmaker(engine, expire_on_commit=False)


class Base(DeclarativeBase):
    pass


class Account(Base):
    __tablename__ = "account"
    id: Mapped[int] = mapped_column(primary_key=True)
    balance: Mapped[int]


class Seat(Base):
    """A row with a version."""

    __tablename__ = "seat"
    id: Mapped[int] = mapped_column(primary_key=True)
    holder: Mapped[str]
    version: Mapped[int] = mapped_column()
    __mapper_args__ = {"version_id_col": version}  # noqa: RUF012


@dataclass(frozen=True)
class Bank(Scenario):
    """Three accounts of 100 each, and a seat."""

    metadata = Base.metadata
    watch = (engine,)

    async def setup(self, session: AsyncSession) -> None:
        session.add_all([*(Account(id=number, balance=100) for number in (1, 2, 3)), Seat(id=1, holder="")])


async def a_session() -> AsyncIterator[AsyncSession]:
    """Commits behind the answer."""
    async with sessions() as session, session.begin():
        yield session


Session = Annotated[AsyncSession, Depends(a_session)]
app = FastAPI()


async def take(session: AsyncSession, account: int = 1, amount: int = 30) -> int:
    """Reads and writes, so that one of two withdrawals can be lost."""
    balance = await session.scalar(select(Account.balance).where(Account.id == account))
    await session.execute(
        text("UPDATE account SET balance = :new WHERE id = :id").bindparams(new=balance - amount, id=account)
    )
    return balance - amount


@app.post("/withdrawals", status_code=201)
async def withdraw(session: Session) -> dict[str, int]:
    return {"balance": await take(session)}


@app.get("/balance")
async def balance(session: Session) -> int:
    return await session.scalar(select(Account.balance).where(Account.id == 1))


async def note(account: int) -> None:
    async with sessions() as session, session.begin():
        await take(session, account, 1)


@app.post("/in-background", status_code=202)
async def in_background(tasks: BackgroundTasks) -> dict[str, str]:
    tasks.add_task(note, 2)
    return {"state": "accepted"}


@app.post("/all", status_code=201)
async def everything(session: Session, tasks: BackgroundTasks) -> dict[str, int]:
    """A dependency, and work after the answer."""
    tasks.add_task(note, 2)
    return {"balance": await take(session)}


@app.get("/streamed")
async def streamed() -> StreamingResponse:
    async def lines() -> AsyncIterator[str]:
        async with sessions() as session, session.begin():
            yield f"{await session.scalar(select(Account.balance).where(Account.id == 1))}\n"
            yield f"{await take(session)}\n"

    return StreamingResponse(lines(), media_type="text/plain")


@app.websocket("/socket")
async def socket(websocket: WebSocket) -> None:
    await websocket.accept()
    while True:
        amount = await websocket.receive_json()
        async with sessions() as session, session.begin():
            await websocket.send_json({"balance": await take(session, 1, amount)})


@app.post("/computed")
def computed(session: Session) -> dict[str, str]:
    """An endpoint that is a plain function runs in a thread; its dependency does not."""
    return {"thread": "main" if threading.current_thread() is threading.main_thread() else "worker"}


def _digest(value: int) -> int:
    time.sleep(0)
    return value % 7


@app.post("/half-in-a-thread")
async def half_in_a_thread(session: Session) -> dict[str, int]:
    left = await take(session)
    return {"digest": await asyncio.to_thread(_digest, left)}


@app.post("/from-a-thread")
def from_a_thread() -> dict[str, int]:
    """A plain function that goes back to the event loop for its statements."""
    return {"balance": anyio.from_thread.run(withdrawn_in_the_loop)}


async def withdrawn_in_the_loop() -> int:
    async with sessions() as session, session.begin():
        return await take(session)


@app.websocket("/refusing-socket")
async def refusing_socket(websocket: WebSocket) -> None:
    if websocket.query_params["how"] == "raises":
        await websocket.accept(subprotocol="chat")
        raise LookupError("no such room")
    await websocket.close(1008, "not you")


@app.post("/broken")
async def broken(session: Session) -> None:
    """Fails where somebody else was there between its two statements."""
    first = await session.scalar(select(Account.balance).where(Account.id == 1))
    await session.execute(text("UPDATE account SET balance = balance - 1 WHERE id = 1"))
    second = await session.scalar(select(Account.balance).where(Account.id == 1))
    if second != first - 1:
        raise LookupError(f"{first} became {second}")


@app.post("/failing")
async def failing(session: Session) -> None:
    if await take(session) == 40:
        raise Conflict


@app.post("/failing-behind", status_code=202)
async def failing_behind(tasks: BackgroundTasks) -> None:
    async def fail() -> None:
        raise LookupError("behind")

    tasks.add_task(fail)


@app.post("/sold-out")
async def sold_out() -> None:
    raise HTTPException(409, "sold out")


@app.post("/refusing/{how}")
async def refusing(how: str, request: Request) -> Response:
    """Answers a refusal of the server in one of the ways that people choose."""
    try:
        async with sessions() as session, session.begin():
            return JSONResponse({"balance": await take(session)})
    except DBAPIError as error:
        if how == "raised":
            raise
        if how == "handled":
            raise Conflict from error
        if how == "http":
            raise HTTPException(409, "try again") from None
    return JSONResponse({"detail": "try again"}, 503)


class Conflict(Exception):
    pass


@app.exception_handler(Conflict)
async def conflict(request: Request, error: Conflict) -> Response:
    return JSONResponse({"detail": "internal"}, 500)


@app.post("/seats/{name}")
async def reserve(name: str) -> Response:
    try:
        async with sessions() as session, session.begin():
            (await session.get_one(Seat, 1)).holder = name
    except StaleDataError:
        raise HTTPException(409, "somebody was faster") from None
    return JSONResponse({"holder": name})


@app.post("/down")
async def down(session: Session) -> Response:
    if await take(session) == 40:
        return JSONResponse({"detail": "down"}, 503)
    return JSONResponse({"detail": "up"}, 200)


@app.post("/login/{name}")
async def login(name: str, response: Response) -> None:
    response.set_cookie("who", name, secure=True, httponly=True)


@app.post("/mine", status_code=201)
async def mine(request: Request, session: Session, x_tenant: Annotated[str, Header()] = "none") -> dict[str, object]:
    return {"who": request.cookies.get("who"), "tenant": x_tenant, "balance": await take(session)}


async def timed(request: Request, call_next):
    response = await call_next(request)
    async with sessions() as session, session.begin():
        await take(session, 3, 1)
    response.headers["x-timed"] = "yes"
    return response


within = FastAPI(exception_handlers={Conflict: conflict})
within.include_router(app.router)
within.add_middleware(BaseHTTPMiddleware, dispatch=timed)


@asynccontextmanager
async def lifespan(app: FastAPI):
    own = create_async_engine("postgresql+asyncpg://nobody@localhost:1/app")
    async with own.connect() as connection:
        opened = await connection.scalar(select(Account.balance).where(Account.id == 1))
    started.append("start")
    yield {"own": own, "counts": {"requests": 0}, "opened": opened}
    await own.dispose()
    started.append("stop")


started: list[str] = []
living = FastAPI(lifespan=lifespan)


@living.post("/count")
async def count(request: Request) -> dict[str, int]:
    counts = request.state.counts
    counts["requests"] += 1
    async with AsyncSession(request.state.own) as session, session.begin():
        return {"requests": counts["requests"], "opened": request.state.opened, "balance": await take(session)}


async def withdrawn(request: Request) -> Response:
    async with sessions() as session, session.begin():
        return JSONResponse({"balance": await take(session)}, 201)


plain = Starlette(routes=[Route("/withdrawals", withdrawn, methods=["POST"])])


async def asgi(scope, receive, send) -> None:
    """No framework at all; it refuses what it does not know, such as a lifespan."""
    assert scope["type"] == "http"
    async with sessions() as session, session.begin():
        content = str(await take(session)).encode()
    await send({"type": "http.response.start", "status": 201, "headers": []})
    await send({"type": "http.response.body", "body": content})
