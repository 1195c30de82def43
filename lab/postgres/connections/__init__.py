"""The lab's connections, the watch on engines, pools, and the journal of what was sent and answered."""
