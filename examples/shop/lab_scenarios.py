"""Requests of the shop that arrive together."""

import lab
import httpx
from shop import main, seed

def client_():
    return httpx.AsyncClient(transport=httpx.ASGITransport(main.app), base_url="http://shop")

async def post(path, json=None):
    async with client_() as client:
        r = await client.post(path, json=json)
        return r.status_code, r.json()


class Shop(lab.Scenario):
    schema = staticmethod(seed.prepare)


class LastMug(Shop):
    @lab.actor(names=("alice", "bob"))
    async def checkout(self, name):
        return await post(f"/customers/{name}/checkout")


class LastCoupon(Shop):
    @lab.actor(names=("alice", "bob"))
    async def redeem(self, name):
        return await post(f"/customers/{name}/coupons", json={"code": "WELCOME"})


class FirstVisit(Shop):
    @lab.actor(names=("tab", "other_tab"))
    async def show_cart(self, name):
        async with client_() as client:
            r = await client.get("/customers/carol/cart")
            return r.status_code, r.json()


class PaidAndCancelled(Shop):
    @lab.actor(names=("pay", "cancel"))
    async def change(self, name):
        return await post(f"/orders/1/{name}")


class GiftsBothWays(Shop):
    nobody_waits_in_a_circle = lab.no_deadlock()

    @lab.actor(names=("alice", "bob"))
    async def give(self, name):
        other = {"alice": "bob", "bob": "alice"}[name]
        return await post(f"/customers/{name}/points/transfer", json={"to": other, "points": 10})
