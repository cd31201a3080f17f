-- A RefreshToken row becomes a session. Every new column is nullable or has a default, so the .NET original keeps
-- working on this database.

SET ANSI_NULLS ON;
SET QUOTED_IDENTIFIER ON;
SET XACT_ABORT ON;
SET NOCOUNT ON;
GO

IF EXISTS (SELECT 1 FROM SchemaVersion WHERE Version = 2)
    RETURN;

BEGIN TRANSACTION;

-- Stop here, without a change, if an operator must solve a problem first.
DECLARE @reason nvarchar(400);

-- The collation of Email must treat i and I as equal. Turkish collations do not.
SELECT
    @reason = N'The collation of User.Email, ' + collation_name
    + N', tells I from i. First give the column a collation that ignores case and is not Turkish.'
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

-- A trigger makes the service's OUTPUT clauses fail, and changes the number of changed rows that it reads.
SELECT @reason = N'The service cannot work beside the trigger ' + name + N'. Drop or disable it first.'
FROM sys.triggers
WHERE
    is_disabled = 0
    AND parent_id IN (OBJECT_ID(N'[User]'), OBJECT_ID(N'Task'), OBJECT_ID(N'RefreshToken'));

IF @reason IS NOT NULL
    THROW 50004, @reason, 1;

IF EXISTS (SELECT 1 FROM [User] GROUP BY Email HAVING COUNT(*) > 1)
    THROW 50002, N'Several users have the same email. Make User.Email unique first.', 1;

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
