import pytest

pytestmark = pytest.mark.anyio


async def test_a_new_customer_signs_up(client):
    answer = await client.post("/customers", json={"username": "dora", "email": "dora@example.org"})
    assert answer.status_code == 201
    assert answer.json() == {"username": "dora", "email": "dora@example.org", "version": 1, "points": 0}


async def test_a_username_is_given_once(client, customers):
    answer = await client.post("/customers", json={"username": "alice", "email": "other@example.org"})
    assert answer.status_code == 409


async def test_a_profile_changes_if_nobody_changed_it_before(client, customers):
    answer = await client.put("/customers/alice", json={"email": "new@example.org", "version": 1})
    assert answer.status_code == 200
    answer = await client.put("/customers/alice", json={"email": "late@example.org", "version": 1})
    assert answer.status_code == 409
    assert (await client.get("/customers/alice")).json()["email"] == "new@example.org"


async def test_points_are_given_to_another(client, customers):
    answer = await client.post("/customers/alice/gifts", json={"to": "bob", "points": 30})
    assert answer.json() == {"points": 70}
    answer = await client.post("/customers/bob/gifts", json={"to": "alice", "points": 10})
    assert answer.json() == {"points": 120}
    answer = await client.post("/customers/alice/gifts", json={"to": "bob", "points": 81})
    assert answer.status_code == 409


async def test_points_are_spent(client, customers):
    assert (await client.post("/customers/alice/points/spend", json={"points": 60})).json() == {"points": 40}
    assert (await client.post("/customers/alice/points/spend", json={"points": 60})).status_code == 409


async def test_a_coupon_gives_points_as_often_as_it_may(client, customers, coupon):
    answer = await client.post("/customers/alice/coupons", json={"code": "WELCOME"})
    assert answer.status_code == 201
    assert answer.json() == {"points": 150}
    answer = await client.post("/customers/bob/coupons", json={"code": "WELCOME"})
    assert answer.status_code == 409


async def test_who_is_not_there_is_not_found(client, customers):
    assert (await client.get("/customers/nobody")).status_code == 404
    answer = await client.post("/customers/alice/coupons", json={"code": "NONE"})
    assert answer.status_code == 404
