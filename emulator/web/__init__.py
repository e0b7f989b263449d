"""HTTP code that all vendors share."""
