-- Makes the database; the schema scripts that follow are run in it. For sqlcmd and SSMS.

IF DB_ID(N'TasksDb') IS NULL
    CREATE DATABASE TasksDb;
GO

-- Readers do not wait for writers. ON needs the database to itself for a moment.
ALTER DATABASE TasksDb SET READ_COMMITTED_SNAPSHOT ON WITH ROLLBACK IMMEDIATE;
GO
