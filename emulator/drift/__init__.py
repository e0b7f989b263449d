"""Golden samples, and how far a real service has drifted from what they say."""
