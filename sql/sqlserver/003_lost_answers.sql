-- What tells a lost answer from a stolen token: which answer was used, and which are void. Additions only, each with
-- a default, so the .NET original and processes that know nothing of them keep working on the same database.

SET ANSI_NULLS ON;
SET QUOTED_IDENTIFIER ON;
SET XACT_ABORT ON;
SET NOCOUNT ON;
GO

IF EXISTS (SELECT 1 FROM SchemaVersion WHERE Version = 3)
    RETURN;

BEGIN TRANSACTION;

-- The highest counter whose access token was let in while it was current.
ALTER TABLE RefreshToken ADD UsedCounter int NOT NULL CONSTRAINT DF_RefreshToken_UsedCounter DEFAULT 0;

-- A bit for each of the last 62 answers before the current one, bit 0 the newest, set where it is void.
ALTER TABLE RefreshToken ADD VoidAnswers bigint NOT NULL CONSTRAINT DF_RefreshToken_VoidAnswers DEFAULT 0;

-- The Counter for which VoidAnswers was written: where an older process has rotated since, it counts as 0.
ALTER TABLE RefreshToken ADD VoidCounter int NOT NULL CONSTRAINT DF_RefreshToken_VoidCounter DEFAULT 0;

INSERT INTO SchemaVersion (Version) VALUES (3);

COMMIT TRANSACTION;
GO
