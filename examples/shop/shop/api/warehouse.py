"""/picking: work for the warehouse."""

from fastapi import APIRouter, Response

from shop.db import SessionDep
from shop.schemas import PickerIn, PickingOut
from shop.services import warehouse

router = APIRouter(prefix="/picking", tags=["warehouse"])


@router.post("/next", response_model=PickingOut, responses={204: {"description": "Nothing to pick."}})
async def next_task(body: PickerIn, session: SessionDep) -> object:
    task = await warehouse.next_task(session, body.picker)
    return task if task is not None else Response(status_code=204)
