"""The full-screen terminal app: watch a run, judge its rules, keep what was proved."""
