"""A module that begins a thread as it is loaded, as numerical libraries may."""

import threading
import time

threading.Thread(target=time.sleep, args=(600,), daemon=True).start()
