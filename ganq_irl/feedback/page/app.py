"""The page as a Flask application, reachable only from this machine and with a token."""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from ganq_irl.errors import ConfigurationError, GanqIrlError, needed
from ganq_irl.feedback.page.desk import Answering

if TYPE_CHECKING:
    from flask import Flask, Response
    from werkzeug.serving import BaseWSGIServer

HOST = "127.0.0.1"
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}
NOTES = {
    "answered": "That question was already answered, in another window. Here is the next one.",
    "undone": "That answer was already undone, or is not the last one any more.",
    "back": "The last answer is undone. Answer the question again.",
}
_LARGEST_REQUEST = 4096  # bytes; an answer takes a hundred


class Drawn(Protocol):
    """The clips of a question: images of a media type, stills as PNG, a sentence about each, and how they were drawn."""

    images: Sequence[bytes]
    stills: Sequence[bytes]
    media_type: str
    texts: Sequence[str]
    note: str


class Clips(Protocol):
    """What draws the clips of questions."""

    def of(self, question: str) -> Any:
        """Return the clips of a question, as ``Drawn``."""

    def prepare(self, question: str) -> None:
        """Begin to draw the clips of a question that will be shown soon."""


def make_app(answering: Answering, clips: Clips, learned: Callable[[], str], token: str, port: int) -> Flask:
    """Return the application.

    Args:
        answering: keeps the answers.
        clips: draws the clips.
        learned: returns a sentence that says what the reward has learned so far.
        token: what a request must carry: in the address once, afterwards in a cookie, and to write in the form as well.
        port: the port of the server, for the check of the header Host.

    Raises:
        MissingDependency: Flask is not installed.
    """
    flask = needed("flask", "feedback", "the page for answers")
    app: Flask = flask.Flask(__name__)
    app.config["MAX_CONTENT_LENGTH"] = app.config["MAX_FORM_MEMORY_SIZE"] = _LARGEST_REQUEST
    cookie = f"ganq-irl-feedback-{port}"  # browsers share cookies between the ports of a machine
    _guard(app, token, cookie, f"{HOST}:{port}")

    @app.get("/")
    def page() -> Any:
        if "token" in flask.request.args:  # the browser's history keeps an address without it
            response = flask.redirect("/", 303)
            response.set_cookie(cookie, token, httponly=True, samesite="Strict")
            return response
        desk = answering.desk()
        if desk.following is not None:
            clips.prepare(desk.following)
        drawn = None if desk.question is None else clips.of(desk.question)
        note = NOTES.get(flask.request.args.get("note", ""), "")
        return flask.render_template(
            "page.html", desk=desk, drawn=drawn, learned=learned(), note=note, token=token, who=answering.who
        )

    @app.get("/clips/<question>/<int(max=1):number>")
    def clip(question: str, number: int) -> Any:
        if question not in answering.questions.names():
            flask.abort(404)
        drawn = clips.of(question)
        if number >= len(drawn.images):
            flask.abort(404)
        if "still" in flask.request.args:
            return flask.Response(drawn.stills[number], mimetype="image/png")
        return flask.Response(drawn.images[number], mimetype=drawn.media_type)

    @app.post("/answer")
    def answer() -> Any:
        given = flask.request.form
        is_kept = answering.answer(given.get("question", ""), given.get("answer", ""))
        return flask.redirect("/" if is_kept else "/?note=answered", 303)

    @app.post("/undo")
    def undo() -> Any:
        is_undone = answering.undo(flask.request.form.get("question", ""))
        return flask.redirect("/?note=back" if is_undone else "/?note=undone", 303)

    return app


def _guard(app: Flask, token: str, cookie: str, host: str) -> None:
    """Refuse requests from elsewhere, and add headers that keep the page from running or sending anything."""
    import flask
    from werkzeug.exceptions import HTTPException

    def is_token(given: str | None) -> bool:
        return given is not None and hmac.compare_digest(given.encode(), token.encode())

    @app.before_request
    def refuse_strangers() -> tuple[str, int] | None:
        request = flask.request
        if request.headers.get("Host") != host:
            return f"This page is at {host} only.", 403
        carried = request.args.get("token") or request.cookies.get(cookie)
        may_write = request.method in ("GET", "HEAD") or is_token(request.form.get("token"))
        if not is_token(carried) or not may_write:
            return "Open the address that ganq-irl printed: it ends with the token of this session.", 403
        return None

    @app.after_request
    def add_headers(response: Response) -> Response:
        response.headers.update(HEADERS)
        if response.status_code >= 400:
            response.mimetype = "text/plain"
        return response

    @app.errorhandler(GanqIrlError)
    def tell(error: GanqIrlError) -> tuple[str, int]:
        return str(error), 400 if isinstance(error, ConfigurationError) else 500

    @app.errorhandler(HTTPException)
    def tell_plainly(error: HTTPException) -> tuple[str, int]:
        return f"{error.code} {error.name}", error.code or 500


def make_server(answering: Answering, clips: Clips, learned: Callable[[], str], port: int = 0) -> tuple[BaseWSGIServer, str]:
    """Return a server on 127.0.0.1, which accepts connections as soon as ``serve_forever`` runs, and its address.

    Args:
        answering: keeps the answers.
        clips: draws the clips.
        learned: returns a sentence that says what the reward has learned so far.
        port: port of the server; 0 takes a free one.

    Raises:
        ConfigurationError: the port is taken or not permitted.
        MissingDependency: Flask is not installed.
    """
    needed("flask", "feedback", "the page for answers")
    import socket

    from werkzeug.serving import WSGIRequestHandler
    from werkzeug.serving import make_server as make_wsgi_server

    class Quiet(WSGIRequestHandler):
        """Logs no requests: their addresses hold the token."""

        def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
            """Log nothing."""

    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            taken.bind((HOST, port))
        except OSError as error:
            raise ConfigurationError(
                f"port {port} is not free ({error.strerror}); give another --port, or none for a free one"
            ) from error
        taken.listen()
        port, token = taken.getsockname()[1], secrets.token_urlsafe(24)
        app = make_app(answering, clips, learned, token, port)
        server = make_wsgi_server(HOST, port, app, threaded=True, request_handler=Quiet, fd=taken.fileno())
    return server, f"http://{HOST}:{port}/?token={token}"
