"""advanced-alchemy 1.8.0: `get_or_upsert` looks before it inserts."""

from advanced_alchemy.base import BigIntBase
from advanced_alchemy.repository import SQLAlchemyAsyncRepository
from sqlalchemy.orm import Mapped, mapped_column

from lab import Scenario, actor


class Tag(BigIntBase):
    """A name that stands once."""

    __tablename__ = "tag"
    name: Mapped[str] = mapped_column(unique=True)


class Tags(SQLAlchemyAsyncRepository[Tag]):
    """As the library's documentation has it."""

    model_type = Tag


class SameTag(Scenario):
    """Two requests want the same tag."""

    metadata = Tag.metadata

    @actor(names=("alice", "bob"))
    async def tag(self, session) -> str:
        """One request."""
        found, _ = await Tags(session=session).get_or_upsert(match_fields=["name"], name="red", auto_commit=True)
        return found.name
