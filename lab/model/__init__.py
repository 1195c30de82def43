"""Frozen values: what was decided, what happened, how it ended, and the token that names it.

May import: errors, scenario.
"""
