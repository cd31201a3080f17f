-- Demo data for a database without users: two users and a few tasks. Their password is public: Tasks-demo-2026.
-- Never use this data for a service that others can reach.
-- The hashes have the .NET original's format, so these users can log in to both services.

SET XACT_ABORT ON;
SET NOCOUNT ON;
GO

BEGIN TRANSACTION;

-- Stop here, without a change, when the database has users.
IF EXISTS (SELECT 1 FROM [User])
    THROW 50003, N'Not seeded: the database has users.', 1;

INSERT INTO [User] (Email, Password, PasswordSalt, FirstName, LastName, TS, Active)
VALUES
(
    N'anna@example.com',
    N'gozyGS2hFgf8I341DkqGG/DWUHTD1WajL0bgP1TL3Mw=',
    N'jxVtq9qMtTh1mJ+UF2FLhcebN4/RfJ//xyv3Y1MqDCo=',
    N'Anna',
    N'Andersson',
    '2026-01-01T08:00:00',
    1
),
(
    N'bertil@example.com',
    N'AKfvbGI6qoWqtW0AtymAS7wpn6NhiqmHC37gbUcMvBc=',
    N'4yO2Ik9S+MOK2y+StjDH84/3z+R4mIbbfFwUBtf9LQE=',
    N'Bertil',
    N'Berg',
    '2026-01-01T08:00:00',
    1
);

INSERT INTO Task (UserId, Name, IsCompleted, TS)
SELECT Id, N'Read how refresh tokens rotate', 1, '2026-01-02T09:00:00' FROM [User] WHERE Email = N'anna@example.com';

INSERT INTO Task (UserId, Name, IsCompleted, TS)
SELECT Id, N'Log in on a second device', 0, '2026-01-02T09:00:00' FROM [User] WHERE Email = N'anna@example.com';

INSERT INTO Task (UserId, Name, IsCompleted, TS)
SELECT Id, N'Sign that device out again', 0, '2026-01-02T09:00:00' FROM [User] WHERE Email = N'anna@example.com';

INSERT INTO Task (UserId, Name, IsCompleted, TS)
SELECT Id, N'Buy coffee for the office', 0, '2026-01-02T09:00:00' FROM [User] WHERE Email = N'bertil@example.com';

INSERT INTO Task (UserId, Name, IsCompleted, TS)
SELECT Id, N'Water the plants', 1, '2026-01-02T09:00:00' FROM [User] WHERE Email = N'bertil@example.com';

COMMIT TRANSACTION;
GO
