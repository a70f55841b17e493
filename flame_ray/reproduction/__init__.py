"""Reproduces the tables of the FLAME paper: which systems they hold, what makes each model, and what is printed.

    systems   how each model is made, step by step
    figures   the paper's own numbers
    tables    which systems and which measures are a table
    plan      the steps and evaluations of tables, each with a key: equal ones are one
    store     what is done already, found by key
    named_files  what is in the files that settings name
    measured_by  which model, checker and judge gave them
    results   our figures beside the paper's
    render    Markdown and CSV; `plot` draws figure 1

All but the store and the named files is pure.
"""
