"""The scenarios that ship with the lab: one file for each subject."""
