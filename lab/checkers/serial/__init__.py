"""Serial equivalence: an execution compared with serial runs of its actors."""
