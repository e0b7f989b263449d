"""Access tokens, which old clients send in place of their API key."""
