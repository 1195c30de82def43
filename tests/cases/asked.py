"""An application whose requests lie in a file: two orders at once take the same item."""

from fastapi import FastAPI
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

engine = create_async_engine("postgresql+asyncpg://shop@nowhere/asked")
Session = async_sessionmaker(engine)
app = FastAPI()


class Base(DeclarativeBase):
    pass


class Kept(Base):
    __tablename__ = "kept"
    id: Mapped[int] = mapped_column(primary_key=True)
    stock: Mapped[int]


@app.post("/orders")
async def order() -> int:
    async with Session.begin() as session:
        if (kept := await session.get(Kept, 1)) is None:
            session.add(Kept(id=1, stock=3))
            return 3
        kept.stock -= 1
        return kept.stock


@app.get("/orders")
async def count() -> int:
    async with Session() as session:
        kept = await session.get(Kept, 1)
        return 0 if kept is None else kept.stock
