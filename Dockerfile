# The image of the service: docker build --tag tasks-api .   Its settings are environment variables: docs/settings.md.
FROM python:3.13-slim-bookworm AS build
WORKDIR /app
COPY constraints.txt setup.cfg pyproject.toml README.md wsgi.py gunicorn.conf.py ./
COPY tasks_api tasks_api
COPY sql sql
RUN python -m venv --without-pip /venv \
    && pip --python /venv/bin/python install --no-cache-dir --constraint constraints.txt --editable '.[redis,asymmetric]' \
    && /venv/bin/python -m compileall -q tasks_api \
    && chmod -R a+rX /app

FROM python:3.13-slim-bookworm
# The virtual environment has Microsoft's ODBC driver. The driver needs these libraries; libcurl4 is for managed
# identities on Azure.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends unixodbc libgssapi-krb5-2 libcurl4 \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 10001 --no-create-home --home-dir /app tasks \
    && install --directory --owner tasks --mode 0700 /app/instance
COPY --from=build /venv /venv
COPY --from=build /app /app
WORKDIR /app
ENV PATH=/venv/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 PORT=5217
USER 10001
# The embedded database and generated keys. Everything else can be read-only: workers use memory in /dev/shm.
VOLUME /app/instance
EXPOSE 5217
# http.client ignores HTTP_PROXY, which a container may have. If gunicorn serves https, override this check.
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s \
    CMD ["python", "-c", "import os; from http.client import HTTPConnection as C; c = C('127.0.0.1', int(os.environ['PORT']), timeout=4); c.request('GET', '/health/ready'); raise SystemExit(c.getresponse().status != 200)"]
CMD ["gunicorn", "wsgi:app"]
