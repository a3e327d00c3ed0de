"""Tests of reading and writing pictures."""
