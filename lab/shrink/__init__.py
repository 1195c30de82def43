"""From a failing execution to the failure that is reported: minimised, tried, replayed.

May import: errors, scenario, model, analysis, schedulers, explore.
"""
