"""Requests that somebody kept in a file: a HAR, JSON lines, or the examples of an OpenAPI document."""
