"""From a cart to an order."""

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from shop.errors import ConflictError
from shop.models import CartItem, Order, OrderLine, Product
from shop.services.carts import get_cart


async def checkout(session: AsyncSession, username: str) -> Order:
    """Order what is in the cart, and empty the cart."""
    cart = await get_cart(session, username)
    taken = await session.execute(
        delete(CartItem).where(CartItem.cart_id == cart.id).returning(CartItem.product_id, CartItem.quantity)
    )
    wanted = {item.product_id: item.quantity for item in taken}
    if not wanted:
        raise ConflictError("the cart is empty")
    products = await session.scalars(select(Product).where(Product.id.in_(wanted)).order_by(Product.id))
    order = Order(customer_id=cart.customer_id)
    for product in products:
        quantity = wanted[product.id]
        if product.stock < quantity:
            raise ConflictError(f"only {product.stock} of {product.name} left")
        product.stock -= quantity
        order.lines.append(OrderLine(product_id=product.id, quantity=quantity, price_cents=product.price_cents))
    session.add(order)
    await session.commit()
    return order
