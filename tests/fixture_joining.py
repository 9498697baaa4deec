"""The steps by which a patient comes to a log-in, as a browser takes them."""

from __future__ import annotations

import re

from django.urls import reverse

from accounts.models import OutgoingMail

BORN = "1970-05-17"
"""Anna's date of birth."""
EMAIL = "anna@example.org"
NEW_PASSWORD = "seven green bicycles"
JOIN, ADDRESS, CHOOSE = "join", "join-address", "join-password"


def show(client, code, born=BORN):
    return client.post(reverse(JOIN), {"code": code, "birth_date": born})


def give_address(client, email=EMAIL):
    return client.post(reverse(ADDRESS), {"email": email})


def mailed_number() -> str:
    """The number of the newest e-mail, as the patient reads it there."""
    body = OutgoingMail.objects.order_by("created_at").last().body
    found = re.search(r"^Your number is: (\d{6})$", body, re.MULTILINE)
    return found[1] if found else ""


def choose(client, number, password=NEW_PASSWORD, again=None):
    return client.post(reverse(CHOOSE), {"number": number, "password1": password, "password2": again or password})


def joined(client, code, email=EMAIL):
    show(client, code)
    give_address(client, email)
    return choose(client, mailed_number())
