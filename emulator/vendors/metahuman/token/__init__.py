"""Registration: get a token for a mail address."""
