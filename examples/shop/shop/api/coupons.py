"""/customers/{username}/coupons: redeem one."""

from fastapi import APIRouter

from shop.db import SessionDep
from shop.schemas import CouponIn, PointsOut
from shop.services import coupons

router = APIRouter(prefix="/customers/{username}/coupons", tags=["coupons"])


@router.post("", status_code=201)
async def redeem(username: str, body: CouponIn, session: SessionDep) -> PointsOut:
    return PointsOut(points=await coupons.redeem(session, username, body.code))
