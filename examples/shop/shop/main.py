"""The application: `uvicorn shop.main:app`."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse

from shop.api import carts, coupons, customers, orders, points, products, warehouse
from shop.db import engine
from shop.errors import ShopError


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Close the connections at the end."""
    yield
    await engine.dispose()


app = FastAPI(title="Shop", lifespan=lifespan)
for module in (carts, coupons, customers, orders, points, products, warehouse):
    app.include_router(module.router)


@app.exception_handler(ShopError)
async def refused(request: Request, error: ShopError) -> JSONResponse:
    """What a service refuses is an answer, not a failure."""
    return JSONResponse({"detail": str(error)}, status_code=error.status)
