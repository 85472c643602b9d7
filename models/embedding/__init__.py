"""Models that turn texts into vectors, so that texts can be compared by what they mean."""
