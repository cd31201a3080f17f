"""The service with its statements as spans, for opentelemetry-instrument.

SQLAlchemy's instrumentation declares SQLAlchemy before 2.1, so opentelemetry-instrument passes it over; it works with
2.1, and a test keeps that true. It imports greenlet, which SQLAlchemy 2.1 no longer brings.
"""

from opentelemetry.instrumentation.sqlalchemy import SQLAlchemyInstrumentor

SQLAlchemyInstrumentor().instrument(skip_dep_check=True)  # before there is an engine

from wsgi import app  # noqa: E402, F401
