# One image for all services. The command selects the service: api, worker, executor or timer.
FROM python:3.11-slim AS build
WORKDIR /src
COPY . .
# What is installed besides the engine, such as `grpc`: docker build --build-arg EXTRAS=fast,tzdata,grpc .
ARG EXTRAS=fast,js,jwt,otel,encryption,tzdata
RUN python -m venv /opt/unspool && /opt/unspool/bin/pip install --no-cache-dir ".[${EXTRAS}]"

FROM python:3.11-slim
COPY --from=build /opt/unspool /opt/unspool
# Every service serves /metrics and /health on this port.
ENV PATH=/opt/unspool/bin:$PATH PYTHONUNBUFFERED=1 UNSPOOL_METRICS_PORT=9464
# The number shows an orchestrator that the user is not root.
USER 10001:10001
WORKDIR /tmp
HEALTHCHECK --interval=15s --timeout=10s --start-period=30s \
    CMD ["python", "-c", "import os, urllib.request as request; request.urlopen(f'http://127.0.0.1:{os.environ[\"UNSPOOL_METRICS_PORT\"]}/health/ready', timeout=4)"]
ENTRYPOINT ["unspool"]
CMD ["--help"]
