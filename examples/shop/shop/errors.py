"""What a service refuses; `shop.main` makes answers of it."""


class ShopError(Exception):
    """A request that cannot be served."""

    status = 400


class NotFoundError(ShopError):
    """No such thing."""

    status = 404


class ConflictError(ShopError):
    """The thing is not in the state for that."""

    status = 409
