"""The service with its statements as spans, for opentelemetry-instrument.

The instrumentation of SQLAlchemy says that it ends before 2.1, and works with it; a test keeps that true.
"""

from opentelemetry.instrumentation.sqlalchemy import SQLAlchemyInstrumentor

SQLAlchemyInstrumentor().instrument(skip_dep_check=True)  # before there is an engine

from wsgi import app  # noqa: E402, F401
