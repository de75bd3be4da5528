"""Routes of Label Studio's ML backend protocol. Each parses, makes one call to the service, and renders."""

import logging
from collections.abc import Callable
from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter, Depends, FastAPI, Request, Response
from fastapi.responses import JSONResponse

from pal_backend import wire
from pal_backend.errors import PalError
from pal_backend.gate import Gate, parsed
from pal_backend.metrics import CONTENT_TYPE, Measured, Metrics
from pal_backend.service import Address, Service

log = logging.getLogger(__name__)

MODEL_CLASS = "PAL"
PICTURE_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'",
    "Cache-Control": "private, max-age=86400, immutable",
    # Label Studio lives on another origin and draws pictures on a canvas; the link itself is the credential.
    "Access-Control-Allow-Origin": "*",
    "Cross-Origin-Resource-Policy": "cross-origin",
}


async def address(request: Request) -> Address:
    """Whose call this is: ``/p/<project>/<desk>/…`` says it, the bare URL does not."""
    return Address(request.path_params.get("project"), request.path_params.get("desk"))


Where = Annotated[Address, Depends(address)]


def create_app(service: Service, gate: Gate, clock: Callable[[], float]) -> FastAPI:
    """The ASGI app; everything it uses is passed in (:mod:`pal_backend.bootstrap`)."""
    metrics = Metrics(service.statuses)
    app = FastAPI(title="PAL for Label Studio", docs_url=None, redoc_url=None, openapi_url=None, redirect_slashes=False)
    protocol = protocol_routes(service, gate, clock)
    app.include_router(protocol)
    app.include_router(protocol, prefix="/p/{project}/{desk}")
    app.include_router(our_routes(service, gate, metrics))
    app.add_exception_handler(PalError, refuse)
    app.add_exception_handler(Exception, admit)
    app.add_middleware(Measured, metrics=metrics)
    return app


def protocol_routes(service: Service, gate: Gate, clock: Callable[[], float]) -> APIRouter:
    """What Label Studio calls. Answers are made here: what a route merely returns costs a second change of threads."""
    routes = APIRouter()
    body = Annotated[bytes, Depends(gate.body)]
    basic, either = [Depends(gate.basic)], [Depends(gate.either)]

    @routes.api_route("/health", methods=["GET", "HEAD"])
    async def health() -> dict[str, str]:
        return {"status": "UP", "model_class": MODEL_CLASS}

    @routes.post("/setup", dependencies=basic)
    def setup(where: Where, content: body) -> JSONResponse:
        request = wire.parse_setup(parsed(content))
        return JSONResponse({"model_version": service.setup(where, request)})

    @routes.post("/predict", dependencies=basic)
    def predict(where: Where, content: body) -> JSONResponse:
        request = wire.parse_tasks(parsed(content))
        return JSONResponse(wire.predictions_json(service.predict(where, request), request.label_config))

    @routes.post("/webhook", dependencies=either)
    def webhook(where: Where, content: body) -> JSONResponse:
        event = wire.parse_event(parsed(content))
        return JSONResponse(wire.receipt_json(event, service.record(where, event, clock()).id), 201)

    @routes.post("/train", dependencies=basic)
    def train(where: Where, content: body) -> JSONResponse:
        event = wire.parse_train(parsed(content))
        return JSONResponse(wire.receipt_json(event, service.record(where, event, clock()).id), 201)

    @routes.get("/versions", dependencies=basic)
    def versions(where: Where) -> JSONResponse:
        return JSONResponse({"versions": service.versions(where)})

    return routes


def our_routes(service: Service, gate: Gate, metrics: Metrics) -> APIRouter:
    """What browsers, ``pal status`` and Prometheus call."""
    routes = APIRouter()
    basic = [Depends(gate.basic)]

    @routes.api_route("/media/{project}/{sample}", methods=["GET", "HEAD"])
    def media(project: str, sample: str, sig: str = "", small: str = "") -> Response:
        picture = service.picture(project, sample, sig, small=small == "1")
        return Response(picture.content, media_type=picture.media_type, headers=PICTURE_HEADERS)

    @routes.get("/p/{project}/status", dependencies=basic)
    def status(project: str) -> JSONResponse:
        return JSONResponse(asdict(service.status(project)))

    @routes.get("/metrics", dependencies=basic)
    def numbers() -> Response:
        return Response(metrics.render(), headers={"Content-Type": CONTENT_TYPE})

    return routes


async def refuse(request: Request, problem: Exception) -> JSONResponse:
    """Errors raised on purpose, with the status they carry."""
    status = problem.status if isinstance(problem, PalError) else 500
    headers = {"WWW-Authenticate": 'Basic realm="PAL"'} if status == 401 else None
    if status >= 500 or status == 400:
        # of a 400 too: Label Studio shows people words of its own instead of ours
        level = logging.ERROR if status >= 500 else logging.WARNING
        log.log(level, "%s answers %d: %s", request.scope.get("path", ""), status, problem)
    return JSONResponse({"detail": str(problem)}, status_code=status, headers=headers)


async def admit(request: Request, problem: Exception) -> JSONResponse:
    """Anything else: the server's log has the traceback, the caller does not."""
    return JSONResponse({"detail": "something went wrong here; the server's log says what"}, status_code=500)
