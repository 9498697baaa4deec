"""The list of patients."""

from __future__ import annotations

import html
import re
from datetime import date

import pytest

from accounts.actions import create_patient

pytestmark = pytest.mark.django_db
URL = "/patients/"


def on_record(mrn: str, given_name: str, family_name: str, **more):
    return create_patient(
        acting_user=None,
        mrn=mrn,
        given_name=given_name,
        family_name=family_name,
        birth_date=date(1980, 2, 29),
        sex="F",
        **more,
    )


def found(client, query: str = "") -> list[str]:
    return [patient.mrn for patient in client.get(f"{URL}?{query}").context["page"]]


def searched(client, words: str, **options):
    """Type into the search field."""
    return client.post(URL, {"q": words}, follow=True, **options)


@pytest.mark.parametrize(("who", "status"), [("rachel", 200), ("adam", 200), ("ivan", 403), ("petra", 403)])
def test_who_may_open_it(client, request, anna, who, status):
    client.force_login(request.getfixturevalue(who))

    answer = client.get(URL)

    assert answer.status_code == status
    assert ("Żółć" in answer.content.decode()) == (status == 200)


@pytest.mark.parametrize("typed", ["Żółć", "żółć", "ŻÓŁĆ", "zolc", "anna żół", "żółć anna", "mrn-001", " 001 "])
def test_a_name_is_found_whatever_the_case_and_accents(client, rachel, anna, typed):
    on_record("MRN-777", "Johanna", "Müller")
    client.force_login(rachel)

    assert [patient.mrn for patient in searched(client, typed).context["page"]] == ["MRN-001"]


@pytest.mark.parametrize(("typed", "name"), [("нина", "Нина"), ("山", "山田"), ("strasse", "Straße")])
def test_other_scripts_are_found_too(client, rachel, typed, name):
    on_record("MRN-2", name, "Test")
    client.force_login(rachel)

    assert [patient.mrn for patient in searched(client, typed).context["page"]] == ["MRN-2"]


@pytest.mark.parametrize("typed", ["%", "_", "\\", "'; DROP TABLE", "nobody"])
def test_characters_with_a_meaning_to_databases_are_text(client, rachel, anna, typed):
    client.force_login(rachel)

    answer = searched(client, typed)

    assert list(answer.context["page"]) == []
    assert "Nobody found" in answer.content.decode()


def test_twenty_five_to_a_page_and_the_search_is_kept(client, rachel):
    for number in range(30):
        on_record(f"M{number:03}", "Many", f"Person{number:03}")
    client.force_login(rachel)

    answer = searched(client, "many")
    assert len(answer.context["page"]) == 25
    page = answer.content.decode()
    assert "30 patients with “many”, 1 to 25 shown" in page
    (second,) = set(re.findall(r'href="\?(find=[^"]*page=2)"', page))
    assert found(client, html.unescape(second)) == [f"M{number:03}" for number in range(25, 30)]


@pytest.mark.parametrize("number", ["0", "-1", "999", "last", "%00"])
def test_a_page_that_does_not_exist_shows_the_nearest(client, rachel, anna, number):
    client.force_login(rachel)

    assert found(client, f"page={number}") == ["MRN-001"]


def test_htmx_gets_the_rows_alone(client, rachel, anna):
    client.force_login(rachel)

    rows = searched(client, "anna", headers={"HX-Request": "true"}).content.decode()

    assert "Żółć" in rows
    assert "<html" not in rows


def test_a_name_made_of_markup_is_shown_as_text(client, rachel):
    on_record("MRN-X", "<script>alert(1)</script>", "<img src=x onerror=alert(1)>")
    client.force_login(rachel)

    page = client.get(URL).content.decode()

    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "<script>alert" not in page
    assert "<img src=x" not in page


def test_markup_in_the_search_is_shown_as_text(client, rachel):
    client.force_login(rachel)

    assert "<script>alert" not in searched(client, '"><script>alert(1)</script>').content.decode()


def test_a_synthetic_patient_is_marked(client, rachel, anna):
    client.force_login(rachel)
    assert "SYNTHETIC" not in client.get(URL).content.decode()

    on_record("DEMO-1", "Made", "Up", synthetic=True)

    assert client.get(URL).content.decode().count("SYNTHETIC") == 1


def test_an_empty_hospital_is_told_what_to_do_first(client, rachel):
    client.force_login(rachel)

    page = client.get(URL).content.decode()

    assert "No patients yet" in page
    assert 'href="/patients/new/"' in page


def test_the_number_of_queries_does_not_grow_with_the_rows(client, rachel, django_assert_max_num_queries):
    for number in range(25):
        on_record(f"M{number:03}", "Many", f"Person{number:03}")
    client.force_login(rachel)

    with django_assert_max_num_queries(10):
        client.get(URL)


def test_names_sort_without_case_and_accents(client, rachel):
    for number, name in enumerate(("Żółć", "d'Aubigné", "Adams", "Eriksen", "Zimmer")):
        create_patient(
            acting_user=None, mrn=f"S-{number}", given_name="A", family_name=name, birth_date=date(1970, 5, 17)
        )
    client.force_login(rachel)

    shown = [patient.family_name for patient in client.get("/patients/").context["page"]]

    assert shown == ["Adams", "d'Aubigné", "Eriksen", "Zimmer", "Żółć"]


# No name in the address


def test_what_is_searched_for_is_in_no_address(client, rachel, anna):
    client.force_login(rachel)

    answer = searched(client, "Żółć anna")

    (address, status) = answer.redirect_chain[-1]
    assert status == 303
    assert re.fullmatch(r"/patients/\?find=gAAAA[\w%=-]+", address)
    assert 'value="Żółć anna"' in answer.content.decode()
    assert 'method="post"' in answer.content.decode()


def test_an_address_can_be_passed_on_to_a_colleague(client, rachel, adam, anna):
    on_record("MRN-777", "Johanna", "Müller")
    client.force_login(rachel)
    address = searched(client, "anna").redirect_chain[-1][0]
    client.force_login(adam)

    assert {patient.mrn for patient in client.get(address).context["page"]} == {"MRN-001", "MRN-777"}


def test_an_address_that_somebody_wrote_leads_to_one_without_the_name(client, rachel, anna):
    client.force_login(rachel)

    moved = client.get(f"{URL}?q=anna&page=1")

    assert moved.status_code == 303
    assert "anna" not in moved["Location"]
    assert [patient.mrn for patient in client.get(moved["Location"]).context["page"]] == ["MRN-001"]


@pytest.mark.parametrize("sealed", ["anna", "gAAAAABanna", "x" * 5000, "%00", "gAAAA" + "A" * 500])
def test_an_address_that_was_tampered_with_shows_everybody(client, rachel, anna, sealed):
    client.force_login(rachel)

    assert found(client, f"find={sealed}") == ["MRN-001"]


@pytest.mark.parametrize("who", ["ivan", "petra"])
def test_who_may_not_open_the_list_does_not_search_it(client, request, anna, who):
    client.force_login(request.getfixturevalue(who))

    assert client.post(URL, {"q": "anna"}).status_code == 403
    assert client.get(f"{URL}?q=anna").status_code == 403
