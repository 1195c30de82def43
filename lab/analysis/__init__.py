"""Pure algorithms over values: which steps depend on each other, what a search covered, what could go wrong.

May import: scenario, model.
"""
