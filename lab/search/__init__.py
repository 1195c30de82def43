"""Hunts: over schedules, workers, levels and remedies, and what they found.

May import: errors, scenario, model, analysis, schedulers, engine, postgres, checkers, explore, shrink, report.
"""
