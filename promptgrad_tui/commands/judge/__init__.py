"""`promptgrad judge`: people grade answers, and the judge is measured by that."""
