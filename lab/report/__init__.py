"""Reports: data in, text out. Plain text carries the full meaning.

May import: scenario, model, analysis, checkers.
"""
