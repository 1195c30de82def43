"""What becomes of an order: paid, cancelled, shipped."""

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from shop.errors import ConflictError, NotFoundError
from shop.models import Order, Payment, PickingTask, Refund


async def get_order(session: AsyncSession, order_id: int, *, lock: bool = False) -> Order:
    """The order of this number; locked, where its status is going to change."""
    order = await session.get(Order, order_id, with_for_update=lock)
    if order is None:
        raise NotFoundError(f"no order {order_id}")
    return order


async def payment_of(session: AsyncSession, order: Order) -> Payment | None:
    """The payment of an order, if there is one."""
    return await session.scalar(select(Payment).where(Payment.order_id == order.id))


async def pay(session: AsyncSession, order_id: int) -> Payment:
    """Take the money, and tell the warehouse."""
    order = await get_order(session, order_id)
    if order.status != "placed":
        raise ConflictError(f"the order is {order.status}")
    payment = Payment(order_id=order.id, amount_cents=order.total_cents)
    session.add_all([payment, PickingTask(order_id=order.id)])
    try:
        await session.commit()
    except IntegrityError:
        raise ConflictError("the order is paid already") from None
    return payment


async def cancel(session: AsyncSession, order_id: int) -> Order:
    """Cancel an order, and give back what was paid."""
    order = await get_order(session, order_id, lock=True)
    if order.status != "placed":
        raise ConflictError(f"the order is {order.status}")
    if payment := await payment_of(session, order):
        session.add(Refund(payment_id=payment.id))
    order.status = "cancelled"
    await session.commit()
    return order


async def ship(session: AsyncSession, order_id: int) -> Order:
    """Send out an order that is paid."""
    order = await get_order(session, order_id, lock=True)
    if order.status != "placed":
        raise ConflictError(f"the order is {order.status}")
    if await payment_of(session, order) is None:
        raise ConflictError("the order is not paid")
    order.status = "shipped"
    await session.commit()
    return order
