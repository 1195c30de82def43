import pytest
from sqlalchemy import select

from shop.models import Refund

pytestmark = pytest.mark.anyio


async def ordered(client, username="alice", quantity=1):
    await client.post(f"/customers/{username}/cart/items", json={"sku": "MUG", "quantity": quantity})
    answer = await client.post(f"/customers/{username}/checkout")
    assert answer.status_code == 201
    return answer.json()["id"]


async def test_a_cart_is_there_when_it_is_asked_for(client, customers):
    assert (await client.get("/customers/alice/cart")).json() == {"username": "alice", "items": []}
    assert (await client.get("/customers/alice/cart")).status_code == 200


async def test_a_product_can_be_put_into_the_cart_twice(client, customers, mug):
    await client.post("/customers/alice/cart/items", json={"sku": "MUG"})
    await client.post("/customers/alice/cart/items", json={"sku": "MUG", "quantity": 2})
    assert (await client.get("/customers/alice/cart")).json()["items"] == [{"sku": "MUG", "quantity": 3}]


async def test_checkout_takes_from_the_stock_and_empties_the_cart(client, customers, mug):
    order = await ordered(client, quantity=2)
    assert (await client.get(f"/orders/{order}")).json() == {"id": order, "status": "placed", "total_cents": 1800}
    assert (await client.get("/products/MUG")).json()["stock"] == 1
    assert (await client.post("/customers/alice/checkout")).status_code == 409


async def test_what_is_not_there_is_not_sold(client, customers, mug):
    await ordered(client, quantity=3)
    await client.post("/customers/bob/cart/items", json={"sku": "MUG"})
    assert (await client.post("/customers/bob/checkout")).status_code == 409
    assert (await client.post("/products/MUG/restock", json={"quantity": 5})).json()["stock"] == 5
    assert (await client.post("/customers/bob/checkout")).status_code == 201


async def test_an_order_is_paid_picked_and_shipped(client, customers, mug):
    order = await ordered(client)
    assert (await client.post(f"/orders/{order}/ship")).status_code == 409
    assert (await client.post(f"/orders/{order}/pay")).json() == {"order_id": order, "amount_cents": 900}
    assert (await client.post("/picking/next", json={"picker": "pat"})).json() == {"order_id": order, "picker": "pat"}
    assert (await client.post("/picking/next", json={"picker": "kim"})).status_code == 204
    assert (await client.post(f"/orders/{order}/ship")).json()["status"] == "shipped"
    assert (await client.post(f"/orders/{order}/cancel")).status_code == 409


async def test_an_order_is_paid_once(client, customers, mug):
    order = await ordered(client)
    assert (await client.post(f"/orders/{order}/pay")).status_code == 200
    assert (await client.post(f"/orders/{order}/pay")).status_code == 409


async def test_a_cancelled_order_cannot_be_paid(client, customers, mug):
    order = await ordered(client)
    assert (await client.post(f"/orders/{order}/cancel")).json()["status"] == "cancelled"
    assert (await client.post(f"/orders/{order}/pay")).status_code == 409


async def test_a_paid_order_that_is_cancelled_is_refunded(client, customers, mug, session):
    order = await ordered(client)
    await client.post(f"/orders/{order}/pay")
    assert (await client.post(f"/orders/{order}/cancel")).json()["status"] == "cancelled"
    assert len((await session.execute(select(Refund))).all()) == 1


async def test_an_order_that_is_not_there_is_not_found(client, customers):
    assert (await client.get("/orders/7")).status_code == 404
