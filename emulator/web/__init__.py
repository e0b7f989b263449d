"""HTTP code that is shared by all vendors."""
