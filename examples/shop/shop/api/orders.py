"""/orders: look, pay, cancel, ship."""

from fastapi import APIRouter

from shop.db import SessionDep
from shop.models import Order, Payment
from shop.schemas import OrderOut, PaymentOut
from shop.services import orders

router = APIRouter(prefix="/orders/{order_id}", tags=["orders"])


@router.get("", response_model=OrderOut)
async def show(order_id: int, session: SessionDep) -> Order:
    return await orders.get_order(session, order_id)


@router.post("/pay", response_model=PaymentOut)
async def pay(order_id: int, session: SessionDep) -> Payment:
    return await orders.pay(session, order_id)


@router.post("/cancel", response_model=OrderOut)
async def cancel(order_id: int, session: SessionDep) -> Order:
    return await orders.cancel(session, order_id)


@router.post("/ship", response_model=OrderOut)
async def ship(order_id: int, session: SessionDep) -> Order:
    return await orders.ship(session, order_id)
