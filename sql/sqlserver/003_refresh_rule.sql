-- Three numbers that tell a lost answer from a stolen token, see docs/tokens.md. Every login and every refresh returns
-- a pair of tokens; Counter is the number of the newest pair. Every column has a default, so the .NET original keeps
-- working on this database.

SET ANSI_NULLS ON;
SET QUOTED_IDENTIFIER ON;
SET XACT_ABORT ON;
SET NOCOUNT ON;
GO

IF EXISTS (SELECT 1 FROM SchemaVersion WHERE Version = 3)
    RETURN;

BEGIN TRANSACTION;

-- The newest pair whose access token was used while it was the newest pair.
ALTER TABLE RefreshToken ADD UsedCounter int NOT NULL CONSTRAINT DF_RefreshToken_UsedCounter DEFAULT 0;

-- The most recent range of void pairs, which were presumed lost and replaced. 0 and 0: none.
ALTER TABLE RefreshToken ADD FirstVoid int NOT NULL CONSTRAINT DF_RefreshToken_FirstVoid DEFAULT 0;
ALTER TABLE RefreshToken ADD LastVoid int NOT NULL CONSTRAINT DF_RefreshToken_LastVoid DEFAULT 0;

INSERT INTO SchemaVersion (Version) VALUES (3);

COMMIT TRANSACTION;
GO
