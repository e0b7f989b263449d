FROM python:3.12-slim AS build
COPY --from=ghcr.io/astral-sh/uv:0.13.8 /uv /usr/local/bin/uv
ENV UV_COMPILE_BYTECODE=1 UV_LINK_MODE=copy UV_PYTHON_DOWNLOADS=never
WORKDIR /app
COPY pyproject.toml uv.lock README.md LICENSE ./
RUN uv sync --frozen --no-dev --no-install-project
COPY emulator emulator
RUN uv sync --frozen --no-dev --no-editable

FROM python:3.12-slim
LABEL org.opencontainers.image.title="face-api-emulator" \
      org.opencontainers.image.licenses="Apache-2.0"
# All clients that reach the container can use the control API: publish the port on a loopback address only, or
# set this to `off`.
ENV FACE_EMULATOR_CONTROL=on
# Any user of group 0 can run the container. It only writes to /tmp.
RUN useradd --uid 10001 --gid 0 --no-create-home emulator
COPY --from=build /app/.venv /app/.venv
ENV PATH=/app/.venv/bin:$PATH PYTHONUNBUFFERED=1 MPLCONFIGDIR=/tmp/matplotlib
USER 10001
EXPOSE 3468
HEALTHCHECK --interval=5s --timeout=3s --start-period=30s --start-interval=250ms --retries=3 \
  CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:3468/_emulator/ready')"]
CMD ["face-emulator", "serve", "--host", "0.0.0.0", "--port", "3468"]
