"""Reports: data in, text out. Plain text carries the full meaning."""
