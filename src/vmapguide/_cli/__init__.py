"""The command line. Start with `main`; each command is a file."""
