"""What a tester bends and reads, in no vendor's words and without HTTP."""
