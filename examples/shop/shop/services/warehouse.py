"""Picking: each paid order goes to one picker."""

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from shop.models import PickingTask


async def next_task(session: AsyncSession, picker: str) -> PickingTask | None:
    """The oldest order that nobody picks yet, for this picker."""
    task = await session.scalar(
        select(PickingTask)
        .where(PickingTask.picker.is_(None))
        .order_by(PickingTask.id)
        .limit(1)
        .with_for_update(skip_locked=True)
    )
    if task is not None:
        task.picker = picker
        await session.commit()
    return task
