"""What screens know of the world outside: runs that they follow, and the processes that they start."""
