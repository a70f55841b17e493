"""How true and how helpful responses are (`metrics`), and how well checkers agree with people (`agreement`).

`suites/` has the benchmarks, and `audit/` measures a run by what people find in it.
"""
