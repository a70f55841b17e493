"""Preference learning: pairs in, new weights out.

`dpo` and `batch` are pure; `actor` is one rank; `group` is N ranks as one object; `checkpoint` writes folders whole.
"""
