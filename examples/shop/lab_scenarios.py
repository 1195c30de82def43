# Requests of the shop that arrive together: `lab hunt lab_scenarios:LastMug`
import lab
from shop import main, seed


class Shop(lab.Scenario):
    app = lab.http(main.app)
    schema = staticmethod(seed.prepare)


class LastMug(Shop):
    @lab.actor(names=("alice", "bob"))
    async def checkout(self, client, name):
        await client.post(f"/customers/{name}/checkout")


class LastCoupon(Shop):
    @lab.actor(names=("alice", "bob"))
    async def redeem(self, client, name):
        await client.post(f"/customers/{name}/coupons", json={"code": "WELCOME"})


class FirstVisit(Shop):
    @lab.actor(names=("tab", "other_tab"))
    async def show_cart(self, client):
        await client.get("/customers/carol/cart")


class PaidAndCancelled(Shop):
    @lab.actor(names=("pay", "cancel"))
    async def change(self, client, name):
        await client.post(f"/orders/1/{name}")


class GiftsBothWays(Shop):
    nobody_waits_in_a_circle = lab.no_deadlock()

    @lab.actor(names=("alice", "bob"))
    async def give(self, client, name):
        await client.post(f"/customers/{name}/gifts", json={"to": {"alice": "bob", "bob": "alice"}[name], "points": 10})
