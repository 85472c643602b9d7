"""What a run finds out beside a better prompt: labels to doubt, and how far two models agree."""
