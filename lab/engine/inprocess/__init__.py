"""What tasks wait for in the process, and who has it: locks, queues, tasks, threads, pools.

It is observed and not guessed: a task that waits stands in a function of the library that made what it waits for, and
that function's frame says which one it is. One file for each family of such functions; the table is in `families.py`.

May import: errors, scenario, model.
"""
