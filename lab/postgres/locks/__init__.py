"""Lock waits, frozen backends, and the row locks that the lab itself takes."""
