# The image of docker-compose.yml: it runs the API, the queue consumer and the deployer on a laptop.
# Nothing of it goes to AWS, where the functions are a zip. Images are named by digest: see docs/operations.md.

FROM python:3.11.16-slim@sha256:9c900dea9e8fb7e16277c179b555cc72d29a352dbc33cff48ad5a0412fd5bfc7 AS packages
WORKDIR /build
COPY infra/requirements/container.txt ./
# Only what runs here, in the versions that are pinned for all, by hash.
RUN python -m venv /venv \
    && /venv/bin/pip install --no-cache-dir --require-hashes -r container.txt

FROM python:3.11.16-slim@sha256:9c900dea9e8fb7e16277c179b555cc72d29a352dbc33cff48ad5a0412fd5bfc7
RUN useradd --system --uid 10001 --create-home strongroom
COPY --from=packages /venv /venv
WORKDIR /srv
COPY app.py ./
COPY .chalice/config.json .chalice/config.json
COPY chalicelib chalicelib
COPY infra infra
ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
USER strongroom
EXPOSE 8000
CMD ["python", "-m", "infra.local.container", "api"]
