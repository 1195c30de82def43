"""`lab init`: what it finds in a project, what it writes, and that this runs."""

from __future__ import annotations

import json
import shutil
import textwrap
from pathlib import Path

import pytest
from helpers.lab_program import CASES, lab, lab_each

import lab as names_of_the_lab

MODELS = """
    import enum, uuid
    from datetime import datetime
    from decimal import Decimal
    from sqlalchemy import CheckConstraint, DateTime, ForeignKey, Numeric, String
    from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

    class Base(DeclarativeBase): ...

    class Kind(enum.Enum):
        BOOK = "book"
        TOY = "toy"

    class Owner(Base):
        __tablename__ = "owners"
        id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
        code: Mapped[str] = mapped_column(String(4), unique=True)

    class Product(Base):
        __tablename__ = "products"
        __table_args__ = (CheckConstraint("stock >= 0"), CheckConstraint("price > 0"))
        id: Mapped[int] = mapped_column(primary_key=True)
        owner_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("owners.id"))
        kind: Mapped[Kind]
        price: Mapped[Decimal] = mapped_column(Numeric(8, 2))
        stock: Mapped[int]
        on_sale_until: Mapped[datetime] = mapped_column(DateTime(timezone=True))
        note: Mapped[str | None]
        active: Mapped[bool] = mapped_column(default=True)

    class Order(Base):
        __tablename__ = "orders"
        id: Mapped[int] = mapped_column(primary_key=True)
        product_id: Mapped[int] = mapped_column(ForeignKey("products.id"))
        amount: Mapped[int]
"""
SERVICES = """
    from sqlalchemy.ext.asyncio import AsyncSession
    from {models} import Order, Product

    class SoldOut(Exception): ...

    def _tell(product): ...

    async def stock_of(session: AsyncSession, product_id: int) -> int:
        return (await session.get_one(Product, product_id)).stock

    async def order(session: AsyncSession, product_id: int, amount: int, *, tell=_tell) -> int:
        product = await session.get_one(Product, product_id)
        if product.stock < amount:
            raise SoldOut
        product.stock -= amount
        session.add(Order(product_id=product_id, amount=amount))
        left = product.stock
        await session.flush()
        return left

    async def take_all(session: AsyncSession, product: Product) -> None:
        if product.stock == 0:
            raise SoldOut
        product.stock = 0
        await session.commit()

    async def notify(gateway: SoldOut, text: str) -> None: ...
"""


def project(folder: Path, **files: str) -> Path:
    """A project with these modules, by their dotted names with two underscores for a dot."""
    (folder / "pyproject.toml").write_text('[project]\nname = "mine"\nversion = "1"\n')
    for name, text in files.items():
        file = folder / f"{name.replace('__', '/')}.py"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(textwrap.dedent(text))
    return folder


def written(done) -> str:
    """The target that `lab init` names at its end."""
    assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr
    return done.stdout.splitlines()[-1].removeprefix("next  lab hunt ")


def test_a_function_is_called_twice_with_rows_that_its_tables_need(tmp_path):
    """NOT NULL, unique and foreign keys, enums, checks; the session is committed; the hunt finds the lost update."""
    project(tmp_path, shop__models=MODELS, shop__services=SERVICES.format(models="shop.models"))
    done = lab("init", "shop.services:order", cwd=tmp_path)
    assert written(done) == "scenarios.order:Order"
    assert "tried    one after the other, the second was refused: SoldOut\n" in done.stdout
    assert "rows     owners, products\n" in done.stdout
    text = (tmp_path / "scenarios" / "order.py").read_text()
    assert "await order(session, product_id=1, amount=1)" in text
    assert "await session.commit()  # as whoever calls it does" in text
    found = lab("hunt", "Order", "--json", "--no-remedies", "--no-fresh", cwd=tmp_path)
    assert [each["anomaly"] for each in json.loads(found.stdout)["failures"]] == ["P4"], found.stdout
    again = lab("init", "shop.services:order", cwd=tmp_path)
    assert (again.returncode, again.stdout) == (2, "")
    assert "order.py is there already and stays as it is" in again.stderr
    assert (tmp_path / "scenarios" / "order.py").read_text() == text


def test_a_folder_that_cannot_be_written_into_is_wrong_use(tmp_path):
    project(tmp_path, shop__models=MODELS, shop__services=SERVICES.format(models="shop.models"))
    (tmp_path / "scenarios").touch()
    done = lab("init", "shop.services:order", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert "order.py cannot be written: File exists" in " ".join(done.stderr.split())


def test_a_refusal_of_the_second_call_is_allowed(tmp_path):
    """What the application raises when both come in turn is an answer; a row is handed over as the object it is."""
    project(tmp_path, shop__models=MODELS, shop__services=SERVICES.format(models="shop.models"))
    done = lab("init", "shop.services.take_all", cwd=tmp_path)
    assert written(done) == "scenarios.take_all:TakeAll"
    assert "the second was refused: SoldOut" in done.stdout
    text = (tmp_path / "scenarios" / "take_all.py").read_text()
    assert "allows = (SoldOut,)" in text
    assert "product=await session.get_one(Product, 1)" in text
    assert lab("hunt", "TakeAll", "--no-fresh", "--no-remedies", "--executions", "20", cwd=tmp_path).returncode in {
        0,
        1,
    }


def test_without_a_module_the_project_is_looked_through(tmp_path):
    """A src layout, read and not imported: neither tests nor a module that nobody needs are run."""
    broken = "raise RuntimeError('imported')\n"
    project(
        tmp_path, src__shop__models=MODELS, src__shop__services=SERVICES.format(models="shop.models"),
        src__shop__test_all=broken, src__shop__other=broken, tests__conftest=broken,
    )  # fmt: skip
    (tmp_path / "deep").mkdir()
    assert written(lab("init", cwd=tmp_path / "deep")) == "scenarios.order:Order"
    assert (tmp_path / "scenarios" / "order.py").exists()
    assert "scenarios.order:Order" in lab("list", cwd=tmp_path / "deep").stdout


def test_an_own_engine_is_watched_and_plain_tables_are_filled(tmp_path):
    """Modules side by side, Core tables, and a function that opens its connection itself."""
    project(
        tmp_path,
        tables="""
            import sqlalchemy as sa
            metadata = sa.MetaData()
            name, n = sa.Column("name", sa.Text, primary_key=True), sa.Column("n", sa.Integer, nullable=False)
            counter = sa.Table("counter", metadata, name, n)
        """,
        counting="""
            import sqlalchemy as sa
            from sqlalchemy.ext.asyncio import create_async_engine
            from tables import counter
            engine = create_async_engine("postgresql+asyncpg://nobody@127.0.0.1:1/nothing")

            async def count(name: str) -> None:
                async with engine.begin() as connection:
                    n = await connection.scalar(sa.select(counter.c.n).where(counter.c.name == name))
                    await connection.execute(sa.update(counter).where(counter.c.name == name).values(n=n + 1))
        """,
    )  # fmt: skip
    assert written(lab("init", "counting", cwd=tmp_path)) == "scenarios.count:Count"
    text = (tmp_path / "scenarios" / "count.py").read_text()
    assert "watch = (engine,)" in text
    assert "metadata = metadata" in text.replace("metadata_2", "metadata")
    assert 'count(name="name-1")' in text
    done = lab("hunt", "Count", "--json", "--no-remedies", "--no-fresh", cwd=tmp_path)
    assert json.loads(done.stdout)["failures"][0]["anomaly"] == "P4"


def test_migrations_make_the_tables_where_no_model_does(tmp_path):
    """Alembic's scripts are run on the lab's connection where they take one, and the text SQL of a function works."""
    project(
        tmp_path,
        booking="""
            from sqlalchemy import text
            from sqlalchemy.ext.asyncio import AsyncSession

            async def book(session: AsyncSession, name: str) -> int:
                await session.execute(text("INSERT INTO theatre.seat VALUES (2, 'circle', :name)"), {"name": name})
                await session.commit()
                return 2
        """,
    )
    shutil.copytree(CASES / "migrations", tmp_path / "migrations")
    done = lab("init", "booking:book", cwd=tmp_path)
    assert written(done) == "scenarios.book:Book"
    assert f"tables   made by the migrations in {tmp_path}/migrations\n" in done.stdout
    assert "the second was refused: IntegrityError: duplicate key" in done.stdout
    assert 'Path(__file__).parents[1] / "migrations"' in (tmp_path / "scenarios" / "book.py").read_text()


@pytest.mark.skipif("http" not in names_of_the_lab.__all__, reason="the lab sends no requests here")
def test_an_application_is_sent_a_request_of_its_own_schema(tmp_path):
    """The route that writes most, its path and body by the rows of the setup, its engine watched."""
    project(
        tmp_path,
        shop__models=MODELS,
        shop__main="""
            from typing import Annotated
            from fastapi import Depends, FastAPI, HTTPException
            from pydantic import BaseModel, Field
            from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
            from shop.models import Order, Product

            engine = create_async_engine("postgresql+asyncpg://nobody@127.0.0.1:1/nothing")
            sessions = async_sessionmaker(engine, expire_on_commit=False)
            app = FastAPI()

            async def get_session():
                async with sessions() as session:
                    yield session

            class Wanted(BaseModel):
                amount: int = Field(ge=2)
                gift: bool

            @app.get("/orders/{order_id}")
            async def show(order_id: int): ...

            @app.post("/products/{product_id}/orders", status_code=201)
            async def order(product_id: int, wanted: Wanted, session: Annotated[AsyncSession, Depends(get_session)]):
                product = await session.get(Product, product_id)
                if product is None:
                    raise HTTPException(404)
                product.stock -= wanted.amount
                session.add(Order(product_id=product_id, amount=wanted.amount))
                await session.commit()
                return {"left": product.stock}
        """,
    )
    done = lab("init", cwd=tmp_path)
    assert written(done) == "scenarios.order:Order"
    assert "both got through" in done.stdout
    text = (tmp_path / "scenarios" / "order.py").read_text()
    assert 'client.post("/products/1/orders", json={"amount": 2, "gift": True})' in text
    found = lab("hunt", "Order", "--json", "--no-remedies", "--no-fresh", cwd=tmp_path)
    assert [each["anomaly"] for each in json.loads(found.stdout)["failures"]] == ["P4"], found.stdout


def test_what_cannot_be_called_is_said_in_one_sentence(tmp_path):
    """What was looked at, what is missing, and what to name; exit status 2, and nothing is written."""
    project(
        tmp_path, shop__models=MODELS, shop__services=SERVICES.format(models="shop.models"),
        shop__broken="import nothing_of_that_name\n", shop__loud="raise ValueError('no configuration')\n",
        shop__plain="def f(): ...\nx = 1\n",
    )  # fmt: skip
    expected = {
        "shop.nowhere": "'shop' has no 'nowhere'",
        "nowhere": "no module named 'nowhere'; `lab init` takes",
        "shop.broken": "shop.broken does not import: ModuleNotFoundError: No module named 'nothing_of_that_name'",
        "shop.loud": "module shop.loud does not import: ValueError: no configuration (",
        "shop.plain": "shop.plain has no coroutine function that could be called",
        "shop.plain:f": "shop.plain:f is neither a coroutine function (async def) nor an application",
        "shop.services:gone": "shop.services has no 'gone'",
        "shop.services:notify": "shop.services:notify needs gateway: SoldOut, for which no value is known",
        "a b": "'a b' is not the name of a module",
    }
    for (name, says), (status, out, err) in zip(
        expected.items(), lab_each([["init", name] for name in expected], cwd=tmp_path), strict=True
    ):
        assert (status, out, err.count("\n")) == (2, "", 1), (name, err)
        assert says.removeprefix("'shop' ") in err
    assert not (tmp_path / "scenarios").exists()


def test_a_project_without_anything_to_call_says_what_was_looked_at(tmp_path):
    """How many modules there are, and of which kinds."""
    project(tmp_path, shop__models=MODELS, shop__other="x = 1\n")
    ((status, out, err),) = lab_each([["init"]], cwd=tmp_path)
    assert (status, out) == (2, "")
    assert f"looked through 2 modules in {tmp_path}: 1 with tables, 0 with an ASGI application, and none with" in err
