"""/customers/{username}: give points, spend them."""

from fastapi import APIRouter

from shop.db import SessionDep
from shop.schemas import GiftIn, PointsOut, SpendIn
from shop.services import points

router = APIRouter(prefix="/customers/{username}", tags=["points"])


@router.post("/gifts")
async def give(username: str, body: GiftIn, session: SessionDep) -> PointsOut:
    return PointsOut(points=await points.transfer(session, username, body.to, body.points))


@router.post("/points/spend")
async def spend(username: str, body: SpendIn, session: SessionDep) -> PointsOut:
    return PointsOut(points=await points.spend(session, username, body.points))
