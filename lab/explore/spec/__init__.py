"""PostgreSQL's isolation specs: reads `.spec` files, runs their permutations, and prints what its own runner prints."""
