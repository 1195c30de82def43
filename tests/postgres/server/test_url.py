"""What a URL may say, and that its password is in no text that comes of it, however wrong the URL is."""

from __future__ import annotations

import os
import random
import string

import pytest

from lab.errors import LabError, ServerError, UsageError
from lab.explore import Explorer
from lab.model.secret import without_urls
from lab.postgres.server.place import Place
from lab.postgres.server.server import external_server
from lab.postgres.server.url import parsed

SECRET = "hunter2hunter2"
FUZZ = int(os.environ.get("LAB_FUZZ", "500"))
"""Inputs for each fuzz test; the promise was held with 10,000."""

WRONG = [
    "postgresql://u:{}@h:port/d",
    "postgresql://u:{}@h:0/d",
    "postgresql://u:{}@h:70000/d",
    "postgresql://u:{}@h:-1/d",
    "postgresql://u:{}@h/d?port=nine",
    "postgresql://u:a@{}@h/d",
    "postgresql://u:{}@x@h/d",
    "postgresql://u:a@{}:1/x@h/d",
    "postgresql://u:a@b?{}@h/d",
    "postgresql://u:a@b/{}@h/d",
    "postgresql:/u:{}@h/d",
    "postgresql:u:{}@h/d",
    "u:{}@h/d",
    "{}",
    "{}://h/d",
    "mysql://u:{}@h/d",
    "sqlite:///{}",
    "postgresql//u:{}@h",
    "postgresql://u:{}",
    "://u:{}@h/d",
    "postgresql ://u:{}@h/d",
    "postgres://u:{}@[h:1/d",
    "host=h password={} dbname=d",
    "postgresql://u:{}\udce9@127.0.0.1:1/d",
    "postgresql://u@127.0.0.1:1/d?passwd={}",
    "postgresql://u@127.0.0.1:1/d?x=password={}",
    "postgresql://u:{} @127.0.0.1:1/d",
    "postgresql://u:{}\n@127.0.0.1:1/d",
    "postgresql://u@127.0.0.1:1/d?user=u:{}",
    "postgresql://127.0.0.1:1/d?user=u:{}",
    "postgresql://127.0.0.1:1/d?host=u:{}@h",
    "postgresql://u@127.0.0.1:1/d?dsn={}",
    "postgresql://u@127.0.0.1:1/d?pw={}",
    "postgresql://u@127.0.0.1:1/d?hostaddr={}",
    "postgresql://u@127.0.0.1:1/d#password={}",
    "postgresql://127.0.0.1:1/d#x@{}",
    "postgresql://u@127.0.0.1:1/d?application_name=x#{}",
    "postgresql://u:{}@127.0.0.1:1_0/d",
    "postgresql://u:{}@127.0.0.1:+1/d",
    "postgresql://u:{}@127.0.0.1:\uff11\uff12/d",
    "postgresql://u:{}@127.0.0.1/d?port=1_0",
    "postgresql://u:{}@h/d?host=other",
]
ODD = [
    "postgresql://u:{}@127.0.0.1:1/d",
    "postgres://u:{}@127.0.0.1:1/d",
    "postgresql://u:{}@:1/d?host=/nonexistent",
    "postgresql://u@127.0.0.1:1/d?password={}",
    "postgresql://u@127.0.0.1:1/d?sslpassword={}",
    "postgresql://u@127.0.0.1:1/d?sslpassword={}&sslmode=verify-full&sslcert=/nonexistent&sslkey=/nonexistent",
    "postgresql://u:{}@127.0.0.1:1/d?passfile=/nonexistent",
    "postgresql://u:{}@127.0.0.1:1/d?sslmode=nonsense",
    "postgresql://u:{}@127.0.0.1:1/d?target_session_attrs=nonsense",
    "postgresql://u:{}@127.0.0.1:1/d?service=nonsense",
    "postgresql://u:{}@/d?host=/nonexistent",
    "postgresql://u:{}@" + "x" * 300 + "/d",
    "postgresql://u:{}@h..h/d",
    "postgresql://u:{}%00@127.0.0.1:1/d",
    "postgresql://u:{}ü€@127.0.0.1:1/d",
    "postgresql://u:{}%ff@127.0.0.1:1/d",
    "postgresql+psycopg://u:{}@127.0.0.1:1/d",
    "postgresql://u:{}@127.0.0.1:1/d?server_settings=x&options=-c%20a=b",
]


@pytest.mark.parametrize("url", WRONG)
def test_a_wrong_url_is_refused_without_being_shown(url):
    with pytest.raises(UsageError) as raised:
        external_server(url.format(SECRET))
    assert "hunter2" not in str(raised.value)
    assert "\n" not in str(raised.value)
    assert raised.value.__cause__ is None


@pytest.mark.parametrize("url", ODD)
async def test_what_cannot_be_reached_is_said_in_one_sentence_without_the_password(url):
    server = external_server(url.format(SECRET))
    explorer = Explorer(server)
    with pytest.raises(ServerError, match="cannot connect to") as raised:
        await explorer.open()
    for text in (str(raised.value), repr(server), repr(server.connect), server.description, repr(Place(url))):
        assert "hunter2" not in text
    assert "\n" not in str(raised.value)


def test_the_short_scheme_is_as_good_as_the_long_one():
    assert parsed("postgres://me:x%40y@h:1/d") == parsed("postgresql://me:x%40y@h:1/d")
    assert parsed("postgres://me:x%40y@h:1/d").connect["password"]() == "x@y"


@pytest.mark.parametrize("url", ["", " ", "\n"])
def test_an_empty_url_is_a_wrong_use_and_not_the_embedded_server(url):
    with pytest.raises(UsageError, match="it is empty; leave it out to use the embedded server"), Place(url).server():
        pass


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        (f"role u, password {SECRET}!", "role u, password ***!"),
        ("nothing of the kind", "nothing of the kind"),
    ],
)
def test_a_message_of_the_server_is_shown_without_the_password(said, shown):
    assert parsed(f"postgresql://u:{SECRET}@h/d").cleaned(said) == shown


def test_a_password_too_short_to_be_cut_out_hides_the_whole_message():
    assert "ab" not in parsed("postgresql://u:ab@h/d").cleaned("cab").replace("tabl", "")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("no such option postgresql://u:pw@h/d given", "no such option postgresql://… given"),
        ("no scenario '//u:pw@h/d' in x", "no scenario '//…' in x"),
        ("no such command 'u:pw@h'.", "no such command 'u:…'."),
        ("lab1:a:B:n=@x is cut, lab1:a@b is none", "lab1:a:B:n=@x is cut, lab1:a@b is none"),
        ("host=h password=pw x", "host=h password=… x"),
        ("/tmp//a and ./b//c", "/tmp//a and ./b//c"),
        ("as module:Class", "as module:Class"),
        ("to postgresql://u:***@127.0.0.1:1/d: [Errno 111]", "to postgresql://u:***@127.0.0.1:1/d: [Errno 111]"),
        ("on postgresql://u:***@/d may", "on postgresql://u:***@/d may"),
        ("on postgresql://u:***pw@/d may", "on postgresql://… may"),
    ],
)
def test_urls_in_other_messages_are_left_out(text, shown):
    assert without_urls(text) == shown


def test_no_text_that_looks_like_a_url_leads_to_a_traceback_or_shows_its_secret():
    """Pieces of URLs in every order, with odd characters between them."""
    chance = random.Random(8)
    pieces = ["postgresql", "postgres", "://", "//", "/", ":", "@", "?", "&", "=", "#", "[", "]", "%40", "%zz", "%00"]
    pieces += [
        "host",
        "password=",
        "sslpassword=",
        "port=",
        "sslmode=",
        "localhost",
        "::1",
        " ",
        "\n",
        "\x00",
        "é",
        "\ud800",
    ]
    for _ in range(FUZZ):
        parts = chance.choices(pieces, k=chance.randrange(12))
        if chance.random() < 0.5:
            parts[:0] = ["postgresql", "://", "u", ":"]
        place = next((i + 1 for i, each in enumerate(parts) if each in (":", "password=", "sslpassword=")), None)
        if place is not None:
            parts.insert(place, SECRET)
        if chance.random() < 0.3:
            parts.append(chance.choice(string.printable))
        url = "".join(parts)
        try:
            server = external_server(url)
        except LabError as error:
            shown = str(error)
        else:
            shown = server.cleaned(f"{server!r} {server.connect!r} ")
        assert "hunter2" not in shown, url


@pytest.mark.parametrize(
    "url", ["postgresql://127.0.0.1:1/d", "postgresql://u@h/d", "postgresql://u@/d?host=/tmp", "postgresql://u:p@h"]
)
def test_a_right_url_is_shown_as_it_is_but_for_the_password_and_the_parameters(url):
    assert parsed(url).description == url.partition("?")[0].replace(":p@", ":***@")
