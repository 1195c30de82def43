"""A hunt over several workers: one process has the search, the others make executions that it foresees.

The search takes in execution after execution in the order of one process, so what it reports is what it would report
alone, whatever the others did and however fast they were: only the time differs. `desk` says who makes what, `maker`
makes it, `hands` is how workers are talked to, and `crew` is what the hunt asks between two executions.
"""
