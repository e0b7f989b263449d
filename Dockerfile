# Any image with Debian and Python 3.11 or 3.12.
ARG PYTHON_IMAGE=python:3.12-slim-bookworm

FROM ${PYTHON_IMAGE} AS dependencies
ARG UV_VERSION=0.13.8
RUN python -m venv /uv && /uv/bin/python -m pip install --no-cache-dir uv==${UV_VERSION}
# uv only trusts its own root certificates. A proxy that inspects TLS has a root that only the system trusts.
ENV UV_LINK_MODE=copy UV_PYTHON_DOWNLOADS=never UV_SYSTEM_CERTS=1
WORKDIR /app
COPY pyproject.toml uv.lock ./
# These options select what the image contains.
RUN --mount=type=cache,target=/root/.cache/uv \
  /uv/bin/uv sync --frozen --no-dev --extra server --extra scale --no-install-project
COPY container/shrink /
RUN /shrink .venv

# Without the npm registry, the image has no console.
FROM dependencies AS console
COPY console console
RUN --mount=type=cache,target=/root/.npm \
  mkdir /console && /uv/bin/python console/build.py --optional --output /console/built

FROM dependencies AS project
COPY README.md LICENSE ./
COPY emulator emulator
COPY --from=console /console emulator/control/console
COPY face_api_emulator face_api_emulator
# Install into a separate folder, so that a change of the code changes only the last layer of the image.
RUN --mount=type=cache,target=/root/.cache/uv \
  /uv/bin/uv pip install --python .venv --prefix /project --no-deps --compile-bytecode .

FROM ${PYTHON_IMAGE}
LABEL org.opencontainers.image.title="face-api-emulator" \
      org.opencontainers.image.description="A local emulator of three face-AI web APIs" \
      org.opencontainers.image.licenses="Apache-2.0"
# Nothing is installed at run time, so remove pip. Every user of group 0 can write to the folder of the state.
RUN find / -xdev -regextype posix-extended \
  -regex '.*/(pip|pip-[0-9.]+\.dist-info|ensurepip|python-wheels|bin/pip[0-9.]*)' -prune -exec rm -r {} + \
  && install -d -o 10001 -g 0 -m 2775 /var/lib/face-api-emulator /var/lib/face-api-emulator/tls
COPY --from=dependencies /app/.venv /app/.venv
COPY --from=project /project /app/.venv
# HOME is set because the user may have no home folder. All clients that reach the container can use the control
# API: publish the port on a loopback address only, or set FACE_EMULATOR_CONTROL to `off`.
ENV PATH=/app/.venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    HOME=/tmp \
    XDG_STATE_HOME=/var/lib \
    FACE_EMULATOR_CONTROL=on
WORKDIR /tmp
USER 10001:0
EXPOSE 3468
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=3s --timeout=3s --start-period=30s --retries=3 CMD ["face-emulator", "healthcheck"]
CMD ["face-emulator", "serve", "--host", "0.0.0.0", "--port", "3468"]
