# The image with Dask: what the scheduler and the workers of a cluster run, and `aurea run --dask`. From the top folder:
#   docker build --tag aurea-orchestrator:0.1.0 .
#   docker build --tag aurea-orchestrator-dask:0.1.0 --file deploy/docker/dask.Dockerfile .
# The version of Aurea, of Python and of numpy must be the same on every machine of a cluster, and where the run is started:
# one image for all of them is the simplest way.
FROM aurea-orchestrator:0.1.0

LABEL org.opencontainers.image.title="aurea-orchestrator-dask" \
      org.opencontainers.image.description="Aurea with Dask: scheduler, workers, and runs over several machines" \
      org.opencontainers.image.base.name="aurea-orchestrator:0.1.0"

USER 0:0
COPY requirements/dask.txt /tmp/dask.txt
RUN pip install --no-cache-dir --no-deps --require-hashes --requirement /tmp/dask.txt \
    && rm /tmp/dask.txt

USER 10001:10001
# No health check of the server's: this is none. Workers answer to their scheduler, which notices where one does not.
HEALTHCHECK NONE
ENTRYPOINT ["dask"]
