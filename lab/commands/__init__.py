"""What the commands of the command line do, one file for each.

May import: errors, scenario, model, schedulers, postgres, checkers, explore, shrink, report, search.
"""
