"""Speed of the emulator, compared with its floors and its peers in the same run."""
