"""The last calls: entries, how tests verify them, and where they are kept."""
