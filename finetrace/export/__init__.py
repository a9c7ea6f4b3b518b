"""Runs as files for other programs: whole, as a table, as logs of Inspect."""
