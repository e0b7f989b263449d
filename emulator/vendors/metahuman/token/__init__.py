"""Registration: a mail address in, a token out."""
