"""A module that takes longer to load than any test lasts."""

import time

time.sleep(600)
