-- Makes the database; the schema scripts that follow are run in it.

IF DB_ID(N'TasksDb') IS NULL
    CREATE DATABASE [TasksDb];
GO

-- Readers do not wait for writers. To switch it on needs the database to itself: when somebody is connected,
-- this is refused at once and can be run again later. On Azure SQL it is on from the start.
IF EXISTS (SELECT 1 FROM sys.databases WHERE name = N'TasksDb' AND is_read_committed_snapshot_on = 0)
    ALTER DATABASE [TasksDb] SET READ_COMMITTED_SNAPSHOT ON WITH NO_WAIT;
GO
