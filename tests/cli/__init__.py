"""Tests of the command line: every convention by its number and name."""
