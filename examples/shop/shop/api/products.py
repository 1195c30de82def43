"""/products: look, restock."""

from fastapi import APIRouter

from shop.db import SessionDep
from shop.models import Product
from shop.schemas import ProductOut, Restock
from shop.services import products

router = APIRouter(prefix="/products", tags=["products"])


@router.get("/{sku}", response_model=ProductOut)
async def show(sku: str, session: SessionDep) -> Product:
    return await products.get_product(session, sku)


@router.post("/{sku}/restock", response_model=ProductOut)
async def restock(sku: str, body: Restock, session: SessionDep) -> Product:
    return await products.restock(session, sku, body.quantity)
