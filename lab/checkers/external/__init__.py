"""Histories that other programs recorded: their file format, and the order of versions inferred from values."""
