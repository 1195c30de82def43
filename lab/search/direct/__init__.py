"""What a test or a notebook calls: checks, hunts, races, and the replays that are pinned beside a test."""
