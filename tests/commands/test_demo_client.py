"""The demo's client reads answers and event streams as any client would."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from northstar.demo.client import Client, UnexpectedAnswer

STREAM = b'retry: 1000\nid: p0\ndata:\n\n: heartbeat\n\nid: c1\nevent: greeting\ndata: {"event_id":\ndata: "one"}\n\n'


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        routes = {
            "/stream": (200, "text/event-stream", STREAM),
            "/list": (200, "application/json", b'{"items": [1, 2], "next_cursor": "more"}'),
            "/list?cursor=more": (200, "application/json", b'{"items": [3], "next_cursor": null}'),
            "/headers": (200, "application/json", f'{{"env": "{self.headers["X-Env"]}"}}'.encode()),
        }
        problem = (404, "application/problem+json", b'{"error_code": "NOT_FOUND", "detail": "Nothing here."}')
        status, kind, body = routes.get(self.path, problem)
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_args: object) -> None:
        """Keep quiet."""


@pytest.fixture
def client():
    with ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield Client(f"http://127.0.0.1:{server.server_port}", "token")
        server.shutdown()
        thread.join()


def test_frames_are_read_whole_and_comments_and_empty_data_are_no_frames(client):
    (frame,) = client.follow("/stream")
    assert (frame.id, frame.event, frame.json) == ("c1", "greeting", {"event_id": "one"})


def test_a_list_is_read_page_after_page(client):
    assert list(client.items("/list")) == [1, 2, 3]


def test_a_problem_shows_its_status_and_code(client):
    assert client.call("GET", "/nowhere").summary() == "404 NOT_FOUND"


def test_a_step_that_cannot_go_on_says_what_the_server_answered(client):
    with pytest.raises(UnexpectedAnswer, match=r"GET /nowhere answered 404 NOT_FOUND. Nothing here."):
        client.need("GET", "/nowhere")


def test_headers_are_sent_with_every_call(client):
    assert client.sending(X_Env="demo").need("GET", "/headers").json == {"env": "demo"}
