"""The health check: this replica answers, and reaches the database."""

import sys
import urllib.request

try:
    print(urllib.request.urlopen("http://127.0.0.1:8000/api/health", timeout=2).read().decode().strip())
except OSError as err:
    sys.exit(f"unhealthy: {err}")
