"""Labels that a run doubts: listed, corrected in their file, or excluded."""
