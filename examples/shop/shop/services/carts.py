"""The cart of a customer."""

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from shop.models import Cart, CartItem, Product
from shop.services.customers import get_customer
from shop.services.products import get_product


async def get_cart(session: AsyncSession, username: str) -> Cart:
    """The cart of a customer, made when it is first asked for."""
    customer = await get_customer(session, username)
    cart = await session.scalar(select(Cart).where(Cart.customer_id == customer.id))
    if cart is None:
        cart = Cart(customer_id=customer.id)
        session.add(cart)
        await session.commit()
    return cart


async def items_of(session: AsyncSession, cart: Cart) -> list[tuple[str, int]]:
    """Product numbers and quantities."""
    statement = (
        select(Product.sku, CartItem.quantity)
        .join(Product, Product.id == CartItem.product_id)
        .where(CartItem.cart_id == cart.id)
        .order_by(Product.sku)
    )
    return [(sku, quantity) for sku, quantity in await session.execute(statement)]


async def add_item(session: AsyncSession, username: str, sku: str, quantity: int) -> Cart:
    """Put a product into the cart, or more of it."""
    cart = await get_cart(session, username)
    product = await get_product(session, sku)
    statement = insert(CartItem).values(cart_id=cart.id, product_id=product.id, quantity=quantity)
    await session.execute(
        statement.on_conflict_do_update(
            index_elements=[CartItem.cart_id, CartItem.product_id],
            set_={"quantity": CartItem.quantity + statement.excluded.quantity},
        )
    )
    await session.commit()
    return cart
