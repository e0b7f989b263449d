"""Registration, which issues a token for an e-mail address."""
