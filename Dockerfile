# The Aurea server. `docker compose up` starts it with Prometheus and Grafana; alone, with a token to call it by:
#   docker build --tag aurea-orchestrator .
#   docker run --publish 127.0.0.1:5000:5000 --volume "$PWD/token:/run/secrets/aurea_token:ro" \
#       --env AUREA_TOKEN_FILE=/run/secrets/aurea_token aurea-orchestrator
FROM python:3.13-slim-bookworm AS build

WORKDIR /src
RUN python -m venv /opt/aurea
ENV PATH=/opt/aurea/bin:$PATH PIP_DISABLE_PIP_VERSION_CHECK=1

# The pinned, hashed dependencies change less often than the code: they have a layer of their own.
COPY requirements/serve.txt requirements/
RUN pip install --no-cache-dir --no-deps --require-hashes --requirement requirements/serve.txt

COPY LICENSE README.md pyproject.toml setup.cfg pytest_aurea.py ./
COPY aurea_engine/ aurea_engine/
COPY aurea_server/ aurea_server/
RUN pip install --no-cache-dir --no-deps --no-build-isolation .


FROM python:3.13-slim-bookworm

ARG VERSION=0.1.0
LABEL org.opencontainers.image.title="aurea-orchestrator" \
      org.opencontainers.image.description="Run synthetic jobs: honest response times, and what the work cost" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.vendor="Aurea contributors" \
      org.opencontainers.image.base.name="docker.io/library/python:3.13-slim-bookworm"

# A fixed number, so that Kubernetes can see that it is not root. /data is the one place to write to.
RUN groupadd --gid 10001 aurea \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /data --shell /usr/sbin/nologin aurea \
    && install --directory --owner=10001 --group=10001 --mode=0700 /data
COPY --from=build /opt/aurea /opt/aurea
ENV PATH=/opt/aurea/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    XDG_DATA_HOME=/data

USER 10001:10001
WORKDIR /data
VOLUME /data
EXPOSE 5000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s --retries=3 \
    CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:5000/health', timeout=2).close()"]

# All interfaces of the container. Without a token the server refuses to start there, and says so: give it one, or, where
# nobody else can reach the container, append --insecure-no-auth.
ENTRYPOINT ["aurea", "serve", "--host", "0.0.0.0"]
