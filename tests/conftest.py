"""What holds for every test."""

from hypothesis import settings

# A machine that is busy is no failure of ours: nothing here is timed.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")
