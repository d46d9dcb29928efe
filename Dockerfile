# The image of docker-compose.yml: it runs the API, the queue consumer and the deployer on a laptop.
# Nothing of it goes to AWS, where the functions are a zip.

FROM python:3.11-slim AS packages
WORKDIR /build
COPY requirements.txt requirements-dev.txt ./
# Only what runs here, in the versions that are pinned for all.
RUN python -m venv /venv \
    && /venv/bin/pip install --no-cache-dir -c requirements-dev.txt -r requirements.txt chalice click pyyaml

FROM python:3.11-slim
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
