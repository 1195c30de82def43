"""What SQLAlchemy's constructs say: which rows a statement reads, locks and writes."""
