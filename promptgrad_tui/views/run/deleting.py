"""What is said before a run is deleted."""

DELETED = (
    "Its events, decisions, logs and drafts are deleted for good. Its artifacts stay, other runs still know "
    "its answers, and the test splits that it opened stay counted."
)
