"""/customers/{username}/points: give them, spend them."""

from fastapi import APIRouter

from shop.db import SessionDep
from shop.schemas import PointsOut, SpendIn, TransferIn
from shop.services import points

router = APIRouter(prefix="/customers/{username}/points", tags=["points"])


@router.post("/transfer")
async def transfer(username: str, body: TransferIn, session: SessionDep) -> PointsOut:
    return PointsOut(points=await points.transfer(session, username, body.to, body.points))


@router.post("/spend")
async def spend(username: str, body: SpendIn, session: SessionDep) -> PointsOut:
    return PointsOut(points=await points.spend(session, username, body.points))
