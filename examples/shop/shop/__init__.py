"""Carts, orders, coupons and points of a small shop."""
