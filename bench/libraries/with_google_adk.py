"""google-adk 1.23.0: `append_event` compares a timestamp that another append may change meanwhile."""

from google.adk.events import Event, EventActions
from google.adk.sessions.database_session_service import DatabaseSessionService

from lab import Scenario, actor, invariant

SERVICE = DatabaseSessionService("postgresql+asyncpg://nobody@nowhere.invalid/none")
WHERE = {"app_name": "shop", "user_id": "user", "session_id": "session"}


class BothAppend(Scenario):
    """Two requests append an event to one session, each with a change of its state."""

    async def setup(self) -> None:
        """The session, made by the library, tables and all."""
        await SERVICE.create_session(**WHERE)

    @actor(names=("alice", "bob"))
    async def append(self, name: str) -> None:
        """One request."""
        session = await SERVICE.get_session(**WHERE)
        await SERVICE.append_event(session, Event(author=name, actions=EventActions(state_delta={name: "was here"})))

    @invariant
    async def no_change_is_lost(self, outcome) -> None:
        """Whoever was not refused is in the state."""
        state = (await SERVICE.get_session(**WHERE)).state
        assert set(state) == set(outcome.committed), f"{sorted(state)} of {sorted(outcome.committed)}"
