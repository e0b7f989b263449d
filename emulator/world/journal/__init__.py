"""The journal: entries of recorded calls, their storage and their verification."""
