"""The command line behind run.py. Imports nothing: set-up runs before any package is installed."""
