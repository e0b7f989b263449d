"""The journal, which records calls, stores them, and checks them against expectations."""
