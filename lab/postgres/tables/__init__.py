"""What the catalog says of tables, and how their rows are brought back."""
