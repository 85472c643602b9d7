"""New artifacts from measured ones: a shorter prompt, or a small model with a large one behind it.

What goes in here opens artifacts by `work.measure` and proves what it makes of them.
"""
