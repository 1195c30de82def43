"""/customers: sign up, look, change."""

from fastapi import APIRouter

from shop.db import SessionDep
from shop.models import Customer
from shop.schemas import CustomerOut, Profile, SignUp
from shop.services import customers

router = APIRouter(prefix="/customers", tags=["customers"])


@router.post("", status_code=201, response_model=CustomerOut)
async def sign_up(body: SignUp, session: SessionDep) -> Customer:
    return await customers.sign_up(session, body.username, body.email)


@router.get("/{username}", response_model=CustomerOut)
async def show(username: str, session: SessionDep) -> Customer:
    return await customers.get_customer(session, username)


@router.put("/{username}", response_model=CustomerOut)
async def change(username: str, body: Profile, session: SessionDep) -> Customer:
    return await customers.change_profile(session, username, body.email, body.version)
