-- Demo data for a database without users: two users and a few tasks. Their password is public: Tasks-demo-2026.
-- Never use this data for a service that others can reach.
-- The hashes have the .NET original's format, so these users can log in to both services.

INSERT INTO "User" (Email, Password, PasswordSalt, FirstName, LastName, TS, Active)
VALUES
(
    'anna@example.com',
    'gozyGS2hFgf8I341DkqGG/DWUHTD1WajL0bgP1TL3Mw=',
    'jxVtq9qMtTh1mJ+UF2FLhcebN4/RfJ//xyv3Y1MqDCo=',
    'Anna',
    'Andersson',
    '2026-01-01 08:00:00',
    1
),
(
    'bertil@example.com',
    'AKfvbGI6qoWqtW0AtymAS7wpn6NhiqmHC37gbUcMvBc=',
    '4yO2Ik9S+MOK2y+StjDH84/3z+R4mIbbfFwUBtf9LQE=',
    'Bertil',
    'Berg',
    '2026-01-01 08:00:00',
    1
);

INSERT INTO Task (UserId, Name, IsCompleted, TS)
SELECT Id, 'Read how refresh tokens rotate', 1, '2026-01-02 09:00:00' FROM "User" WHERE Email = 'anna@example.com';

INSERT INTO Task (UserId, Name, IsCompleted, TS)
SELECT Id, 'Log in on a second device', 0, '2026-01-02 09:00:00' FROM "User" WHERE Email = 'anna@example.com';

INSERT INTO Task (UserId, Name, IsCompleted, TS)
SELECT Id, 'Sign that device out again', 0, '2026-01-02 09:00:00' FROM "User" WHERE Email = 'anna@example.com';

INSERT INTO Task (UserId, Name, IsCompleted, TS)
SELECT Id, 'Buy coffee for the office', 0, '2026-01-02 09:00:00' FROM "User" WHERE Email = 'bertil@example.com';

INSERT INTO Task (UserId, Name, IsCompleted, TS)
SELECT Id, 'Water the plants', 1, '2026-01-02 09:00:00' FROM "User" WHERE Email = 'bertil@example.com';
