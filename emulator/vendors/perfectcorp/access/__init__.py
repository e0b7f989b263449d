"""Access tokens, which legacy clients send in place of their API key."""
