-- The three numbers that tell a lost answer from a stolen token. An answer is the pair of tokens that a login or a
-- refresh returned; Counter is its number. Every column has a default, so the .NET original keeps working on this
-- database.

SET ANSI_NULLS ON;
SET QUOTED_IDENTIFIER ON;
SET XACT_ABORT ON;
SET NOCOUNT ON;
GO

IF EXISTS (SELECT 1 FROM SchemaVersion WHERE Version = 3)
    RETURN;

BEGIN TRANSACTION;

-- The highest answer whose access token was let in while the answer was current.
ALTER TABLE RefreshToken ADD UsedCounter int NOT NULL CONSTRAINT DF_RefreshToken_UsedCounter DEFAULT 0;

-- The answers that were presumed lost most recently, from the first to the last one. 0 and 0: none.
ALTER TABLE RefreshToken ADD FirstVoid int NOT NULL CONSTRAINT DF_RefreshToken_FirstVoid DEFAULT 0;
ALTER TABLE RefreshToken ADD LastVoid int NOT NULL CONSTRAINT DF_RefreshToken_LastVoid DEFAULT 0;

INSERT INTO SchemaVersion (Version) VALUES (3);

COMMIT TRANSACTION;
GO
