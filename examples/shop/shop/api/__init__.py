"""The routes; each calls one service."""
