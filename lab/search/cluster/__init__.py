"""A hunt over the workers of a dask cluster: `lab hunt --dask ADDRESS`.

Dask's event loop and threads never meet the lab's own, whose executions replace clock and chance: the client of the
cluster lives in a process beside the lab (`bridge`), and on each worker jobs are done by a child process (`remote`),
which a plugin of the worker asks (`errand`).
"""
