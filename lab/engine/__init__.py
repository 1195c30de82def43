"""The engine: runs actors one step at a time and asks a scheduler who goes next. Knows no SQL.

May import: errors, scenario, model.
"""
