"""Preference learning: pairs in, new weights out.

`dpo`, `batch` and `schedule` are pure; `progress` says how far a round is and `training` carries it out; `actor` is one
rank, `group` N ranks as one object; `checkpoint` writes folders whole and checks them; `arrays` carries weights.
"""
