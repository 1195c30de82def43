"""Scenarios: what people write, and what can be said of it without running it: validation, registry, catalogue.

May import: errors.
"""
