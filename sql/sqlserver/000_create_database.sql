-- Create the database. Run this script in master, and the following scripts in the new database.

IF DB_ID(N'TasksDb') IS NULL
    CREATE DATABASE [TasksDb];
GO

-- With this option readers do not wait for writers. It can only be set while nobody else is connected; otherwise the
-- statement fails at once and can be run again later. Azure SQL sets the option itself.
IF EXISTS (SELECT 1 FROM sys.databases WHERE name = N'TasksDb' AND is_read_committed_snapshot_on = 0)
    ALTER DATABASE [TasksDb] SET READ_COMMITTED_SNAPSHOT ON WITH NO_WAIT;
GO
