"""What the lab knows of PostgreSQL's functions, by their names in lower case."""

from __future__ import annotations

__all__ = ["AGGREGATES", "COLLECTING", "PURE"]

PURE = frozenset(
    (
        *("sum", "count", "max", "min", "avg", "coalesce", "nullif", "greatest", "least", "abs", "round", "lower"),
        *("upper", "length", "concat", "bool_and", "bool_or", "every", "array_agg", "string_agg", "now", "rank"),
        *("current_timestamp", "char_length", "row_number", "mod", "trim", "unnest"),
    )
)
"""Functions whose value depends on nothing but their arguments and the moment. Others may lock, draw from a sequence or
write."""
AGGREGATES = frozenset({"sum", "count", "max", "min", "avg", "bool_and", "bool_or", "every"})
"""Those that make one value of many rows, whatever the order of these."""
COLLECTING = frozenset({"array_agg", "string_agg"})
"""Those that make one value of many rows, in their order."""
