"""Fetching a collection, against a server of our own: whole, cut off, altered, gone, and by hand."""

from __future__ import annotations

import hashlib
import http.server
import io
import socket
import tarfile
import threading
import zipfile
from dataclasses import dataclass, field, replace

import pytest

from ml.commands import data as data_command
from ml.data import fetch as fetch_module
from ml.data.collections import COLLECTIONS, Collection, RemoteFile
from ml.data.fetch import fetch
from ml.data.records import DataError


@dataclass
class Publisher:
    """A web server that offers files, and cuts one off after some bytes where it is told to."""

    files: dict[str, bytes] = field(default_factory=dict)
    cut_after: dict[str, int] = field(default_factory=dict)
    etag: str | None = '"1"'
    asked: list[tuple[str, str | None]] = field(default_factory=list)
    port: int = 0

    def url(self, name: str) -> str:
        return f"http://127.0.0.1:{self.port}/{name}"


@pytest.fixture
def publisher(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    offer = Publisher()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            name = self.path.lstrip("/")
            offer.asked.append((name, self.headers.get("Range")))
            content = offer.files.get(name)
            if content is None:
                self.send_error(404)
                return
            start = 0
            if self.headers.get("Range") and self.headers.get("If-Range") == offer.etag:
                start = int(self.headers["Range"].removeprefix("bytes=").rstrip("-"))
                if start >= len(content):
                    self.send_error(416)
                    return
            self.send_response(206 if start else 200)
            self.send_header("Content-Length", str(len(content) - start))
            if offer.etag:
                self.send_header("ETag", offer.etag)
            self.end_headers()
            self.wfile.write(content[start : offer.cut_after.pop(name, len(content))])

        def log_message(self, *arguments):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    offer.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    yield offer
    server.shutdown()
    server.server_close()
    thread.join()


def archive(**files):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as opened:
        for name, content in files.items():
            opened.writestr(name.replace("__", "/"), content)
    return buffer.getvalue()


CONTENT = archive(benign__a="x" * 5000)


@pytest.fixture
def collection(publisher):
    """A collection of one archive whose publisher states an MD5 checksum."""
    publisher.files["set.zip"] = CONTENT
    digest = f"md5:{hashlib.md5(CONTENT).hexdigest()}"
    return Collection(
        name="set",
        title="The Set",
        modality="US",
        licence="CC BY 4.0",
        citation="Somebody et al. (2020).",
        address="https://example.org/set",
        unpacked="benign/",
        files=(RemoteFile(name="set.zip", url=publisher.url("set.zip"), digest=digest),),
    )


def test_a_file_is_fetched_verified_and_unpacked(collection, tmp_path, capsys):
    said: list[str] = []
    (done,) = fetch(collection, tmp_path / "set", say=said.append)
    assert done.path.read_bytes() == CONTENT
    assert done.verified
    assert done.sha256 == hashlib.sha256(CONTENT).hexdigest()
    assert (tmp_path / "set" / "benign" / "a").read_text() == "x" * 5000
    assert sorted(path.name for path in (tmp_path / "set").iterdir()) == ["benign", "set.zip"]
    assert "set.zip" in capsys.readouterr().err, "the progress bar names the file"
    assert any("as the publisher states" in sentence for sentence in said)


def test_a_file_that_is_there_is_verified_and_not_fetched_again(collection, publisher, tmp_path):
    fetch(collection, tmp_path)
    publisher.asked.clear()
    (done,) = fetch(collection, tmp_path)
    assert done.present
    assert publisher.asked == []
    (tmp_path / "set.zip").write_bytes(b"altered")
    with pytest.raises(DataError, match="Remove it and run the command again") as caught:
        fetch(collection, tmp_path)
    assert caught.value.code == "checksum_mismatch"


def test_a_cut_off_download_goes_on_where_it_stopped(collection, publisher, tmp_path):
    publisher.cut_after["set.zip"] = 50
    with pytest.raises(DataError, match=f"ended after 50 of {len(CONTENT)} bytes") as caught:
        fetch(collection, tmp_path)
    assert caught.value.code == "truncated"
    assert "50 bytes are kept" in str(caught.value)
    assert not (tmp_path / "set.zip").exists()
    (done,) = fetch(collection, tmp_path)
    assert done.verified
    assert publisher.asked == [("set.zip", None), ("set.zip", "bytes=50-")]
    assert not list(tmp_path.glob("*.partial*"))


def test_a_download_starts_anew_when_the_file_has_changed_or_has_no_mark(collection, publisher, tmp_path):
    publisher.cut_after["set.zip"] = 50
    with pytest.raises(DataError):
        fetch(collection, tmp_path)
    publisher.etag = '"2"'
    assert fetch(collection, tmp_path)[0].path.read_bytes() == CONTENT
    (tmp_path / "set.zip").unlink()
    publisher.etag = None
    publisher.cut_after["set.zip"] = 50
    with pytest.raises(DataError) as caught:
        fetch(collection, tmp_path)
    assert "are kept" not in str(caught.value)
    assert fetch(collection, tmp_path)[0].path.read_bytes() == CONTENT
    assert [range_ for _, range_ in publisher.asked] == [None, "bytes=50-", None, None]


def test_a_download_that_was_complete_but_not_renamed_is_taken_over(collection, publisher, tmp_path):
    (tmp_path / "set.zip.partial").write_bytes(CONTENT)
    (tmp_path / "set.zip.partial.etag").write_text('"1"')
    (done,) = fetch(collection, tmp_path)
    assert done.path.read_bytes() == CONTENT
    assert publisher.asked == [("set.zip", f"bytes={len(CONTENT)}-")]


def test_a_wrong_checksum_removes_the_file_and_says_so(collection, publisher, tmp_path):
    publisher.files["set.zip"] = CONTENT[:-1] + b"!"
    with pytest.raises(DataError, match="instead of md5:") as caught:
        fetch(collection, tmp_path)
    assert caught.value.code == "checksum_mismatch"
    assert "https://example.org/set" in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_without_a_stated_checksum_the_digest_is_told_and_nothing_is_claimed(collection, tmp_path):
    plain = replace(collection, files=(replace(collection.files[0], digest=""),))
    said: list[str] = []
    (done,) = fetch(plain, tmp_path, say=said.append)
    assert not done.verified
    assert f"SHA-256 {done.sha256} (the publisher states no checksum" in said[0]


def test_offline_says_where_to_get_it_under_which_licence_and_what_goes_where(collection, tmp_path):
    nobody = replace(collection.files[0], url="http://127.0.0.1:9/set.zip")
    with pytest.raises(DataError) as caught:
        fetch(replace(collection, files=(nobody,)), tmp_path)
    assert caught.value.code == "offline"
    for words in (
        "http://127.0.0.1:9/set.zip cannot be reached",
        "Connect to the network",
        "Address: https://example.org/set",
        "Licence: CC BY 4.0",
        f"Put into {tmp_path}: benign/",
        "Cite: Somebody et al. (2020).",
    ):
        assert words in str(caught.value)


def test_a_silent_server_counts_as_offline(collection, tmp_path, monkeypatch):
    monkeypatch.setattr(fetch_module, "TIMEOUT_S", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/set.zip"
        with pytest.raises(DataError) as caught:
            fetch(replace(collection, files=(replace(collection.files[0], url=url),)), tmp_path)
    assert caught.value.code == "offline"


def test_a_refusal_of_the_server_is_told_with_its_number(collection, publisher, tmp_path):
    publisher.files.clear()
    with pytest.raises(DataError, match="404") as caught:
        fetch(collection, tmp_path)
    assert caught.value.code == "server_refused"
    assert "Fetch it by hand" in str(caught.value)


def test_a_research_licence_has_to_be_accepted_first(collection, publisher, tmp_path):
    gated = replace(collection, research_only=True, licence="research purposes only")
    with pytest.raises(DataError, match="research purposes only.*--accept-licence") as caught:
        fetch(gated, tmp_path)
    assert caught.value.code == "licence_not_accepted"
    assert publisher.asked == []
    assert fetch(gated, tmp_path, accept_licence=True)[0].verified


def test_what_needs_a_person_is_told_after_the_rest_was_fetched(collection, tmp_path):
    partly = replace(collection, by_hand="Ask the authors.")
    with pytest.raises(DataError, match="by hand") as caught:
        fetch(partly, tmp_path)
    assert caught.value.code == "by_hand"
    assert "By hand: Ask the authors." in str(caught.value)
    assert (tmp_path / "benign" / "a").is_file()


@pytest.mark.parametrize("name", ["set.zip", "set.tar.gz"])
def test_a_damaged_archive_is_named(collection, publisher, tmp_path, name):
    publisher.files[name] = b"no archive at all"
    damaged = replace(collection, files=(RemoteFile(name=name, url=publisher.url(name)),))
    with pytest.raises(DataError, match="cannot be unpacked") as caught:
        fetch(damaged, tmp_path)
    assert (caught.value.code, caught.value.path) == ("bad_archive", tmp_path / name)


def test_an_archive_cannot_write_outside_its_folder(collection, publisher, tmp_path):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as opened:
        entry = tarfile.TarInfo("../escaped")
        entry.size = 1
        opened.addfile(entry, io.BytesIO(b"x"))
    publisher.files = {"set.tar.gz": buffer.getvalue(), "set.zip": archive(**{"..__escaped": "x"})}
    for name in publisher.files:
        hostile = replace(collection, files=(RemoteFile(name=name, url=publisher.url(name)),))
        try:
            fetch(hostile, tmp_path / "inside" / "set")
        except DataError as error:
            assert error.code == "bad_archive"
        assert not (tmp_path / "inside" / "escaped").exists()


def test_the_command_fetches_tells_and_fails_in_words(collection, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(COLLECTIONS, "busi", replace(collection, name="busi"))
    assert data_command.run(["fetch", "busi", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert "Cite: Somebody et al. (2020)." in out
    assert f"python -m ml data check {tmp_path} --layout busi" in out
    assert data_command.run(["fetch", "inbreast", str(tmp_path)]) == 1
    assert "Ask the authors at INESC TEC" in capsys.readouterr().err
    assert data_command.run(["fetch", "cbis-ddsm", str(tmp_path), "--tell"]) == 0
    assert "NBIA Data Retriever" in capsys.readouterr().out
    with pytest.raises(SystemExit) as caught:
        data_command.run(["fetch", "imagenet", str(tmp_path)])
    assert caught.value.code == 2


def test_the_register_states_what_a_user_of_a_collection_has_to_know():
    for name, each in COLLECTIONS.items():
        assert each.name == name
        assert each.address.startswith("http")
        assert each.licence
        assert each.citation
        assert each.unpacked
        assert each.files or each.by_hand
        assert each.modality in ("US", "MG", "CESM")
    assert {name for name, each in COLLECTIONS.items() if each.research_only} == {"mini-mias", "inbreast"}
