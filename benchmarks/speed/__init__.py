"""Speed of the emulator, side by side with its floors and its peers in one run."""
