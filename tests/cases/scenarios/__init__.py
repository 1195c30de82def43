"""A package of few and quick scenarios, for tests that run the lab as a user would: in a folder of its own."""
