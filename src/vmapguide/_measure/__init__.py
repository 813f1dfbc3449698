"""Measure: whether results agree and why not, what a program costs, how long it takes."""
