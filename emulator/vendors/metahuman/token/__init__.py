"""The API that issues a token for an e-mail address."""
