"""Findings: rules that say what cost or surprised. Start with `find.find`."""
