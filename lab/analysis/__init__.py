"""Pure algorithms over values: which steps depend on each other, what a search saw and counted, what could go wrong.

May import: errors, scenario, model.
"""
