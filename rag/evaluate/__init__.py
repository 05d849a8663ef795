"""Gold questions -> the same answer() -> rows -> metrics -> verdicts, report, exit code."""
