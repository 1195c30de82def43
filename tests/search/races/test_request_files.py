"""Which requests a file has: HAR, JSON lines, OpenAPI; and what is said of a file that cannot be read."""

import base64
import json

import pytest

from lab.errors import UsageError
from lab.search.races.files.asked import Asked
from lab.search.races.files.reading import read_requests
from lab.search.races.files.told import Told


def requests_of(folder, content, host=None):
    path = folder / "asked.txt"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return read_requests(path, host)


def har(*entries):
    return {"log": {"version": "1.2", "entries": list(entries)}}


def entry(method, url, *, status=200, kind="application/json", answer="", headers=(), **data):
    request = {"method": method, "url": url, "headers": [{"name": n, "value": v} for n, v in headers]}
    if data:
        request["postData"] = data
    return {"request": request, "response": {"status": status, "content": {"mimeType": kind, "text": answer}}}


def openapi(paths, **more):
    return {"openapi": "3.1.0", "info": {"title": "Shop", "version": "1"}, "paths": paths, **more}


def shown(requests):
    return [(each.method, each.url, each.content.decode()) for each in requests.asked]


# ------------------------------------------------------------------------------------------------ JSON lines


def test_a_line_is_a_request(tmp_path):
    lines = [
        {"method": "post", "path": "/orders?fast=1", "json": {"item": 1}, "status": 201, "took": 3},
        {
            "method": "PUT",
            "url": "http://shop/x",
            "headers": {"X-User": "a", "Host": "b"},
            "body": "raw",
            "response": 204,
        },
        {"method": "GET", "path": "/y", "response": {"status": 200, "json": {"id": 7}}},
    ]
    one, two, three = requests_of(tmp_path, "\n\n".join(map(json.dumps, lines))).asked
    assert (one.method, one.url, json.loads(one.content), one.status) == ("POST", "/orders?fast=1", {"item": 1}, 201)
    assert one.headers == (("content-type", "application/json"),)
    assert (two.headers, two.content, two.status) == ((("X-User", "a"),), b"raw", 204)
    assert (three.status, three.answer, three.place) == (200, {"id": 7}, "line 5")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "is empty; FILE is a HAR file"),
        ('{"method": "GET", "path": "/"}\n{"method": "GET"', "line 2, column 17: not valid JSON"),
        ("GET /orders", "line 1, column 1: not valid JSON: Expecting value; FILE is a HAR file"),
        ("openapi: 3.1.0\npaths: {}", "it may be YAML"),
        ('{\n "log": {"entries": [}', "line 2, column 22: not valid JSON"),
        ("7", "line 1: a request is an object such as"),
        ('[{"method": "GET", "path": "/"}, 7]', "request 2: a request is an object"),
        ('{"path": "/"}', "line 1: method is a text such as POST, and this is missing"),
        ('{"method": "GET"}', "line 1: url or path is a text that begins with /"),
        ('{"method": "GET", "path": "orders"}', "line 1: url or path is a text that begins with /"),
        ('{"method": "GET", "path": "/", "json": 1, "body": "1"}', "line 1: it has json and body"),
        ('{"method": "GET", "path": "/", "body": {}}', "line 1: body is a text, and this is {}"),
        ('{"method": "GET", "path": "/", "headers": {"X": 1}}', "line 1: ('X', 1) is no header"),
        ('{"method": "GET", "path": "/", "headers": "X: 1"}', "line 1: headers are an object"),
        ('{"method": "GET", "path": "/", "status": "ok"}', 'line 1: status is a number such as 201, and this is "ok"'),
        ({"log": {}}, "a HAR has log.entries"),
        (har({"request": {"method": "GET"}}), "entry 1 has no url"),
        (har(entry("GET", "https://shop/"), 7), "entry 2 is not as HAR has it"),
        (har({"request": {"method": "GET", "url": 7}}), "entry 1 is not as HAR has it: a value has another type"),
        (har(), "has no request that could be sent"),
        (har(entry("OPTIONS", "https://shop/")), "has no request that could be sent (left out: 1 OPTIONS)"),
        ({"swagger": "2.0", "paths": {}}, "version '2.0', and the lab reads versions 3.x"),
        (openapi({"/x": {"get": {"parameters": [{"name": "a"}]}}}), "GET /x: not as OpenAPI has it: there is no 'in'"),
        (openapi({"/x": {"get": {"parameters": [{"$ref": "#/no/where"}]}}}), "GET /x: not as OpenAPI has it"),
        (openapi({"/x": 7}), "paths: not as OpenAPI has it"),
        ({"openapi": "3.0.0", "paths": []}, "paths: not as OpenAPI has it: a value has another type"),
        (openapi({}), "has no request that could be sent"),
    ],
    ids=range(27),
)
def test_a_file_that_cannot_be_read_is_refused_in_one_sentence_with_the_place(tmp_path, content, said):
    with pytest.raises(UsageError) as error:
        requests_of(tmp_path, content)
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def test_bytes_that_are_no_text_and_files_that_are_not_there_are_refused(tmp_path):
    (tmp_path / "bytes").write_bytes(b"{\xff")
    with pytest.raises(UsageError, match="byte 1: not UTF-8"):
        read_requests(tmp_path / "bytes")
    with pytest.raises(UsageError, match="cannot be read: No such file"):
        read_requests(tmp_path / "nowhere")


# ------------------------------------------------------------------------------------------------ HAR


def test_a_har_keeps_what_the_application_answers_and_counts_the_others(tmp_path):
    found = requests_of(
        tmp_path,
        har(
            entry("GET", "https://shop/index.js"),
            entry("GET", "https://shop/logo", kind="image/png"),
            entry("OPTIONS", "https://shop/orders"),
            entry("POST", "https://shop/orders#top", status=201, answer='{"id": 7}', mimeType="text/plain", text="x"),
            entry("GET", "https://shop/orders/7", status=304),
            entry("POST", "https://counts.example/hit"),
            entry("GET", "wss://shop/live"),
            entry("POST", "https://shop/files", mimeType="multipart/form-data", params=[]),
        ),
    )
    assert [(each.method, each.url, each.status) for each in found.asked] == [
        ("POST", "https://shop/orders", 201),
        ("GET", "https://shop/orders/7", None),
    ]
    assert found.asked[0].answer == {"id": 7}
    assert found.left_out == {
        "static file": 2,
        "OPTIONS": 1,
        "websocket": 1,
        "body that the file does not hold": 1,
        "to counts.example": 1,
    }


def test_of_several_hosts_the_most_frequent_is_meant_or_the_one_that_is_named(tmp_path):
    document = har(*(entry("GET", f"https://{host}/x") for host in ("a", "b", "b")))
    assert [each.url for each in requests_of(tmp_path, document).asked] == ["https://b/x"] * 2
    assert [each.url for each in requests_of(tmp_path, document, "a").asked] == ["https://a/x"]
    with pytest.raises(UsageError, match=r"no request to c; the hosts are b \(2\), a \(1\)"):
        requests_of(tmp_path, document, "c")
    with pytest.raises(UsageError, match="no request to c; none of them names a host, so leave --host out"):
        requests_of(tmp_path, '{"method": "GET", "path": "/x"}', "c")


def test_a_har_gives_bodies_as_they_were_and_leaves_headers_of_the_way_out(tmp_path):
    headers = [
        (":method", "POST"),
        ("Host", "shop"),
        ("sec-fetch-mode", "cors"),
        ("Cookie", "a=1"),
        ("If-None-Match", "x"),
    ]
    found = requests_of(
        tmp_path,
        har(
            entry("POST", "https://shop/a", headers=headers, mimeType="application/json", text='{"a": 1}'),
            entry(
                "POST", "https://shop/b", mimeType="x/y", text=base64.b64encode(b"\x00\xff").decode(), encoding="base64"
            ),
            entry(
                "POST",
                "https://shop/c",
                mimeType="application/x-www-form-urlencoded",
                params=[{"name": "a", "value": "1 2"}],
            ),
        ),
    ).asked
    assert found[0].headers == (("Cookie", "a=1"), ("content-type", "application/json"))
    assert [each.content for each in found] == [b'{"a": 1}', b"\x00\xff", b"a=1+2"]


# ------------------------------------------------------------------------------------------------ OpenAPI


def test_examples_are_sent_in_the_order_of_the_document(tmp_path):
    item = {"type": "object", "required": ["sku"], "properties": {"sku": {"example": "MUG"}, "n": {"default": 2}}}
    body = {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Item"}}}}
    document = openapi(
        {
            "/carts/{cart}": {
                "parameters": [{"name": "cart", "in": "path", "required": True, "example": "a b"}],
                "post": {"requestBody": body},
                "get": {
                    "parameters": [
                        {"name": "page", "in": "query", "schema": {"examples": [3]}},
                        {"name": "sort", "in": "query", "schema": {"type": "string"}},
                        {"name": "X-User", "in": "header", "example": "alice"},
                    ]
                },
            }
        },
        components={"schemas": {"Item": item}},
        servers=[{"url": "https://shop.example/v1"}],
    )
    found = requests_of(tmp_path, document)
    assert shown(found) == [
        ("POST", "/v1/carts/a%20b", '{"sku": "MUG", "n": 2}'),
        ("GET", "/v1/carts/a%20b?page=3", ""),
    ]
    assert found.asked[1].headers == (("X-User", "alice"),)
    assert not found.unused


def test_each_named_example_is_a_request(tmp_path):
    examples = {"few": {"value": {"n": 1}}, "many": {"value": {"n": 9}}, "elsewhere": {"externalValue": "http://x"}}
    parameter = {"name": "id", "in": "path", "examples": {"few": {"value": 7}, "many": {"value": 8}}}
    operation = {"parameters": [parameter], "requestBody": {"content": {"application/json": {"examples": examples}}}}
    assert shown(requests_of(tmp_path, openapi({"/orders/{id}": {"put": operation}}))) == [
        ("PUT", "/orders/7", '{"n": 1}'),
        ("PUT", "/orders/8", '{"n": 9}'),
    ]


def test_an_operation_without_an_example_of_what_it_must_have_is_named(tmp_path):
    no_example = {"schema": {"type": "object", "required": ["n"], "properties": {"n": {"type": "integer"}}}}
    loop = {"$ref": "#/components/schemas/Loop"}
    document = openapi(
        {
            "/orders": {"get": {}, "post": {"requestBody": {"content": {"application/json": no_example}}}},
            "/orders/{id}": {"delete": {"parameters": [{"name": "id", "in": "path", "schema": {"type": "integer"}}]}},
            "/files": {"put": {"requestBody": {"content": {"text/csv": {"example": "a"}}}}},
            "/loops": {"put": {"requestBody": {"content": {"application/json": {"schema": loop}}}}},
        },
        components={"schemas": {"Loop": {"required": ["inner"], "properties": {"inner": loop}}}},
    )
    found = requests_of(tmp_path, document)
    assert [each.place for each in found.asked] == ["GET /orders"]
    assert found.unused == (
        "POST /orders is not used: its body has no example",
        "DELETE /orders/{id} is not used: its parameter id has no example",
        "PUT /files is not used: its body is text/csv, which is not JSON",
        "PUT /loops is not used: its body has no example",
    )


# ------------------------------------------------------------------------------------------------ what is told anew


def test_what_an_answer_tells_anew_takes_its_place_in_later_requests():
    told = Told()
    made = Asked("POST", "/orders", answer={"id": 7, "token": "abc", "total": 7})
    told.renewed(made)
    told.learn(made, '{"id": 1, "token": "xyz", "total": 9}')
    pays = Asked("POST", "/orders/7/pay?t=abc", (("Authorization", "Bearer abc"),), b'{"order_id": 7, "total": 7}')
    renewed = told.renewed(pays)
    assert (renewed.url, renewed.headers) == ("/orders/1/pay?t=xyz", (("Authorization", "Bearer xyz"),))
    assert json.loads(renewed.content) == {"order_id": 1, "total": 7}


def test_a_number_that_was_named_before_it_was_told_stays():
    """Product 7 was asked for, and then an order was made that is called 7 as well."""
    told = Told()
    told.renewed(Asked("GET", "/products/7"))
    told.learn(Asked("POST", "/orders", answer={"id": 7}), '{"id": 1}')
    assert told.renewed(Asked("GET", "/products/7")).url == "/products/7"


def test_what_was_last_told_unchanged_stays():
    told = Told()
    told.learn(Asked("POST", "/orders", answer={"id": 7}), '{"id": 1}')
    told.learn(Asked("GET", "/products", answer=[{"id": 7}]), '[{"id": 7}]')
    assert told.renewed(Asked("GET", "/products/7")).url == "/products/7"


def test_an_answer_that_is_no_json_tells_nothing():
    told = Told()
    told.learn(Asked("POST", "/orders", answer={"id": 7}), "<html>")
    assert told.renewed(Asked("GET", "/orders/7", content=b"\xff")).content == b"\xff"
