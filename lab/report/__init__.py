"""Reports: data in, text out. Plain text carries the full meaning.

May import: errors, scenario, model, analysis, checkers.
"""
