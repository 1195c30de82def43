"""What requests and answers look like."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Quantity = Annotated[int, Field(gt=0, le=100)]
Name = Annotated[str, Field(min_length=1, max_length=40)]


class _Read(BaseModel):
    model_config = ConfigDict(from_attributes=True)


class SignUp(BaseModel):
    username: Name
    email: str


class Profile(BaseModel):
    email: str
    version: int


class CustomerOut(_Read):
    username: str
    email: str
    version: int
    points: int


class ProductOut(_Read):
    sku: str
    name: str
    price_cents: int
    stock: int


class Restock(BaseModel):
    quantity: Quantity


class CartItemIn(BaseModel):
    sku: str
    quantity: Quantity = 1


class CartItemOut(BaseModel):
    sku: str
    quantity: int


class CartOut(BaseModel):
    username: str
    items: list[CartItemOut]


class OrderOut(_Read):
    id: int
    status: str
    total_cents: int


class PaymentOut(_Read):
    order_id: int
    amount_cents: int


class CouponIn(BaseModel):
    code: str


class PointsOut(BaseModel):
    points: int


class GiftIn(BaseModel):
    to: str
    points: Annotated[int, Field(gt=0)]


class SpendIn(BaseModel):
    points: Annotated[int, Field(gt=0)]


class PickerIn(BaseModel):
    picker: Name


class PickingOut(_Read):
    order_id: int
    picker: str
