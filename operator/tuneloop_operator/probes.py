"""/healthz for the kubelet, /metrics for Prometheus."""

from collections.abc import Callable

from aiohttp import web

from tuneloop_operator.metrics import Metrics


def probes_app(metrics: Metrics, ailment: Callable[[], str]) -> web.Application:
    """`ailment` says what is wrong, "" if nothing is. An operator that waits for its Lease is well."""

    async def healthz(_: web.Request) -> web.Response:
        wrong = ailment()
        return web.Response(status=503 if wrong else 200, text=f"{wrong or 'ok'}\n")

    async def show_metrics(_: web.Request) -> web.Response:
        return web.Response(body=metrics.render(), headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"})

    app = web.Application()
    app.add_routes([web.get("/healthz", healthz), web.get("/metrics", show_metrics)])
    return app
