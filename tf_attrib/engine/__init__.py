"""Rows evaluated in blocks: a method, its program and session, and the run that assembles the result."""
