-- A RefreshToken row becomes a session. Additions only: every new column is nullable or has a default, so
-- the .NET original keeps working on the same database.

SET ANSI_NULLS ON;
SET QUOTED_IDENTIFIER ON;
SET XACT_ABORT ON;
SET NOCOUNT ON;
GO

IF EXISTS (SELECT 1 FROM SchemaVersion WHERE Version = 2)
    RETURN;

BEGIN TRANSACTION;

-- Refusals that a person has to settle first; nothing has changed when they come.
DECLARE @reason nvarchar(400);

-- Asked of the column's collation itself: with a Turkish one i and I are two letters, in upper and in lower case.
SELECT
    @reason = N'User.Email tells I from i, for its collation is ' + collation_name
    + N'; give it one that ignores case first, and no Turkish one.'
FROM sys.columns
WHERE
    object_id = OBJECT_ID(N'[User]')
    AND name = N'Email'
    AND NOT EXISTS (
        SELECT 1
        FROM (
            SELECT Email FROM [User] WHERE 1 = 0
            UNION ALL
            SELECT N'I'
        ) AS Letters
        WHERE Letters.Email = N'i'
    );

IF @reason IS NOT NULL
    THROW 50001, @reason, 1;

-- Beside a trigger OUTPUT clauses fail, and the number of changed rows is the trigger's.
SELECT @reason = N'The trigger ' + name + N' is in the way of the service''s statements; drop or disable it first.'
FROM sys.triggers
WHERE
    is_disabled = 0
    AND parent_id IN (OBJECT_ID(N'[User]'), OBJECT_ID(N'Task'), OBJECT_ID(N'RefreshToken'));

IF @reason IS NOT NULL
    THROW 50004, @reason, 1;

IF EXISTS (SELECT 1 FROM [User] GROUP BY Email HAVING COUNT(*) > 1)
    THROW 50002, N'Users share an email; make User.Email unique first (UX_User_Email).', 1;

ALTER TABLE RefreshToken ADD SessionId uniqueidentifier NOT NULL
CONSTRAINT DF_RefreshToken_SessionId DEFAULT NEWID();

ALTER TABLE RefreshToken ADD Counter int NOT NULL CONSTRAINT DF_RefreshToken_Counter DEFAULT 0;

ALTER TABLE RefreshToken ADD StartedAt datetime2(3) NULL;

ALTER TABLE RefreshToken ADD RotatedAt datetime2(3) NULL;

ALTER TABLE RefreshToken ADD UserAgent nvarchar(255) NULL;

ALTER TABLE RefreshToken ADD IpAddress varchar(45) NULL;

CREATE UNIQUE INDEX UX_RefreshToken_SessionId ON RefreshToken (SessionId);

CREATE INDEX IX_RefreshToken_UserId ON RefreshToken (UserId);

CREATE INDEX IX_RefreshToken_ExpiryDate ON RefreshToken (ExpiryDate);

CREATE INDEX IX_Task_UserId_Id ON Task (UserId, Id);

CREATE UNIQUE INDEX UX_User_Email ON [User] (Email);

INSERT INTO SchemaVersion (Version) VALUES (2);

COMMIT TRANSACTION;
GO
