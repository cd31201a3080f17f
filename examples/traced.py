"""The service with its statements as spans, for opentelemetry-instrument.

SQLAlchemy's instrumentation says that it needs SQLAlchemy before 2.1, so opentelemetry-instrument skips it. It works
with 2.1, and a test checks that. It imports greenlet, which SQLAlchemy 2.1 does not install any more.
"""

from opentelemetry.instrumentation.sqlalchemy import SQLAlchemyInstrumentor

SQLAlchemyInstrumentor().instrument(skip_dep_check=True)  # before there is an engine

from wsgi import app  # noqa: E402, F401
