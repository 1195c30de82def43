"""PostgreSQL's side of the engine's ports: servers, connections, lock waits, reset.

May import: errors, model, engine.
"""
