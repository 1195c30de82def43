"""/customers/{username}/cart: fill it, order what is in it."""

from fastapi import APIRouter

from shop.db import SessionDep
from shop.models import Cart, Order
from shop.schemas import CartItemIn, CartItemOut, CartOut, OrderOut
from shop.services import carts
from shop.services.checkout import checkout

router = APIRouter(prefix="/customers/{username}", tags=["carts"])


async def shown(session: SessionDep, username: str, cart: Cart) -> CartOut:
    items = await carts.items_of(session, cart)
    return CartOut(username=username, items=[CartItemOut(sku=sku, quantity=quantity) for sku, quantity in items])


@router.get("/cart")
async def show(username: str, session: SessionDep) -> CartOut:
    return await shown(session, username, await carts.get_cart(session, username))


@router.post("/cart/items", status_code=204)
async def add(username: str, body: CartItemIn, session: SessionDep) -> None:
    await carts.add_item(session, username, body.sku, body.quantity)


@router.post("/checkout", status_code=201, response_model=OrderOut)
async def order(username: str, session: SessionDep) -> Order:
    return await checkout(session, username)
