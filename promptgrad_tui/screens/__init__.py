"""The full-screen app: watch a run, judge its rules, keep what was proved."""
