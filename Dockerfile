# One image for all services. The command selects the service: api, worker, executor or timer.
FROM python:3.11-slim AS build
WORKDIR /src
COPY . .
RUN python -m venv /opt/unspool && /opt/unspool/bin/pip install --no-cache-dir '.[fast,js,tzdata]'

FROM python:3.11-slim
COPY --from=build /opt/unspool /opt/unspool
ENV PATH=/opt/unspool/bin:$PATH PYTHONUNBUFFERED=1
# The number shows an orchestrator that the user is not root.
USER 10001:10001
WORKDIR /tmp
ENTRYPOINT ["unspool"]
CMD ["--help"]
