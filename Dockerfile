# One image for all services; the command says which: api, worker, executor, timer.
FROM python:3.11-slim AS build
WORKDIR /src
COPY . .
RUN python -m venv /opt/unspool && /opt/unspool/bin/pip install --no-cache-dir '.[fast]'

FROM python:3.11-slim
COPY --from=build /opt/unspool /opt/unspool
ENV PATH=/opt/unspool/bin:$PATH PYTHONUNBUFFERED=1
# By number, so that an orchestrator can see that it is not root.
USER 10001:10001
WORKDIR /tmp
ENTRYPOINT ["unspool"]
CMD ["--help"]
