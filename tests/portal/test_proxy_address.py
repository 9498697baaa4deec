"""Behind the site's own proxy, the ledger and the limits by address see the client and not the proxy."""

from __future__ import annotations

import pytest
from django.http import HttpResponse

from portal.middleware import ProxyAddressMiddleware


@pytest.mark.parametrize(
    ("forwarded", "seen"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("198.51.100.1, 203.0.113.7", "203.0.113.7"),
        ("203.0.113.7, 2001:db8::7", "2001:db8::7"),
        ("203.0.113.7, nonsense", "127.0.0.1"),
        ("", "127.0.0.1"),
        (None, "127.0.0.1"),
    ],
)
def test_the_address_that_the_proxy_added_last_is_the_client_s(rf, forwarded, seen):
    headers = {} if forwarded is None else {"X-Forwarded-For": forwarded}
    addresses = []

    def view(request):
        addresses.append(request.META["REMOTE_ADDR"])
        return HttpResponse()

    ProxyAddressMiddleware(view)(rf.get("/", headers=headers))
    assert addresses == [seen]
