"""What the shop does. A service gets the session of the request, and commits."""
