"""What is claimed about speed and memory, as something to run."""
