# The server, and every other verb, in a container: docs/container.md. tools/check_container.py runs these very steps
# without a container engine.
#
#     docker build -t cameraborn .                                          # scores, on processors
#     docker build -t cameraborn:train --build-arg EXTRAS=serve,train .     # also trains, on NVIDIA's graphics processors

ARG PYTHON=3.11
FROM python:${PYTHON}-slim AS build
ARG EXTRAS=serve
WORKDIR /src
COPY pyproject.toml constraints.txt README.md LICENSE NOTICE ./
COPY src src
COPY models/default models/default
RUN --mount=type=cache,target=/root/.cache/pip \
    python -m venv /opt/cameraborn \
    && /opt/cameraborn/bin/pip install -q -c constraints.txt ".[${EXTRAS}]" \
    && /opt/cameraborn/bin/cameraborn verify \
    && mkdir -p /var/lib/cameraborn

FROM python:${PYTHON}-slim
LABEL org.opencontainers.image.title="cameraborn" \
      org.opencontainers.image.description="Was this face born in a camera?" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /opt/cameraborn /opt/cameraborn
COPY --from=build --chown=10001:10001 /var/lib/cameraborn /var/lib/cameraborn
# The server refuses to listen to others without the hashes of tokens, so the container needs that file; what is named
# here is its path alone.
# hadolint ignore=DL3064
ENV PATH=/opt/cameraborn/bin:${PATH} \
    HOME=/tmp \
    MPLCONFIGDIR=/tmp/matplotlib \
    PYTHONDONTWRITEBYTECODE=1 \
    CAMERABORN_SERVE_HOST=0.0.0.0 \
    CAMERABORN_SERVE_TOKENS=/run/secrets/cameraborn_tokens
USER 10001:10001
WORKDIR /work
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=5s --start-period=30s \
    CMD ["python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:8000/healthz', timeout=4)"]
ENTRYPOINT ["cameraborn"]
CMD ["serve"]
