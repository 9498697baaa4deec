"""The web application. Importing it loads no learning framework (tests/portal/test_wsgi.py)."""

import os

from django.core.wsgi import get_wsgi_application
from django.utils.module_loading import import_string

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "portal.settings")

application = get_wsgi_application()
import_string("accounts.queue_watch.look_after_requests")()
