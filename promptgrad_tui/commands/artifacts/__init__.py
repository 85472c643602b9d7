"""The commands that measure, derive, release and export artifacts; one file each."""
