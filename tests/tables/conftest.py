"""What these tests share."""

from hypothesis import settings

# How long an example takes says nothing: machines are busy, and the first one loads libraries.
settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")
