# Every image is built from this file: `docker build --build-arg PACKAGE=services/customer .`
# PACKAGE is all that an image holds beside kit and contracts, so that no service can import a sibling.
# The stage `platform` holds everything: for one-shot jobs (keys, databases, migrations).

FROM python:3.12-slim AS build
WORKDIR /app
RUN pip install --no-cache-dir uv==0.13.8
COPY pyproject.toml uv.lock ./
RUN uv sync --locked --no-dev --compile-bytecode

FROM python:3.12-slim AS base
RUN useradd --system --uid 10001 --no-create-home alicerce
WORKDIR /app
COPY --from=build /app/.venv .venv
COPY kit kit
COPY contracts contracts
COPY services/__init__.py services/
ENV PATH=/app/.venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
USER alicerce

FROM base AS platform
COPY alicerce alicerce
COPY gateway gateway
COPY services services
CMD ["python", "-m", "alicerce", "prepare"]

FROM base
ARG PACKAGE
COPY ${PACKAGE} ${PACKAGE}
ENV PORT=8080
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s \
    CMD ["python", "-c", "import os, urllib.request as u; u.urlopen('http://127.0.0.1:' + os.environ['PORT'] + '/ready', timeout=2)"]
CMD ["sh", "-c", "exec gunicorn -c python:kit.gunicorn --bind 0.0.0.0:$PORT \"$FLASK_APP:create_app()\""]
