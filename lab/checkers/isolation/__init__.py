"""Histories and the dependency graph: anomalies in the names of Adya, and what each level promises."""
