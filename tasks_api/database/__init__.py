"""The way to the data: engine and transactions, SQL Server, migrations, the operator's commands."""
