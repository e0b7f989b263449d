"""Capture of calls for the journal. Pictures in a body are replaced by their sizes and digests."""
