"""What every HTTP surface shares and no vendor owns."""
