"""An ASGI application beside the actors: its lifespan, and the clients through which it is asked."""
