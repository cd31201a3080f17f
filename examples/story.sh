#!/usr/bin/env bash
# The whole story of the tutorial, step by step, with each answer. It stops at the first answer that is not as told.
# The service is looked for at http://localhost:5217. For another address: URL=http://localhost:8000 examples/story.sh
# Start the service in another terminal, with short times, or the story waits for minutes:
#
#   TASKS_ACCESS_TOKEN_SECONDS=4 TASKS_REFRESH_RETRY_SECONDS=1 make run
set -euo pipefail
cd "$(dirname "$0")"
source ./lib.bash

step "1. Log in as the demo user"
call 200 POST /api/users/login '{"email": "anna@example.com", "password": "Tasks-demo-2026"}'

step "2. Log in with a wrong email: refused. The answer does not say whether the email or the password is wrong"
call 401 POST /api/users/login '{"email": "wrong@example.com", "password": "Tasks-demo-2026"}'

step "3. Sign up, and log in"
email="story-$$-$RANDOM@example.com"
call 201 POST /api/users/signup "{\"email\": \"$email\", \"password\": \"correct horse battery\",
  \"confirmPassword\": \"correct horse battery\", \"firstName\": \"Stina\", \"lastName\": \"Story\"}"
call 200 POST /api/users/login "{\"email\": \"$email\", \"password\": \"correct horse battery\"}"
access=$(member accessToken) refresh=$(member refreshToken) seconds=$(member expiresIn)

step "4. Add two tasks, list them, tick one off, delete the other"
call 201 POST /api/tasks '{"name": "Learn how tokens rotate"}' "$access"
first=$(member id)
call 201 POST /api/tasks '{"name": "Forget this one"}' "$access"
second=$(member id)
call 200 GET /api/tasks "" "$access"
call 200 PATCH "/api/tasks/$first" '{"isCompleted": true}' "$access"
call 200 DELETE "/api/tasks/$second" "" "$access"

if [ "$seconds" -gt 60 ]; then
  step "5. (Waiting for the access token to expire would take $seconds seconds: start with TASKS_ACCESS_TOKEN_SECONDS=4)"
else
  step "5. Wait until the access token has expired, read the list: 401"
  sleep "$((seconds + 1))"
  call 401 GET /api/tasks "" "$access"
fi

step "6. Refresh silently: new tokens, and the list again"
call 200 POST /api/users/refresh_token "{\"refreshToken\": \"$refresh\"}"
access=$(member accessToken) refresh=$(member refreshToken)
call 200 GET /api/tasks "" "$access"

step "7. Refresh and lose the answer. In the retry window the same answer comes again, later a new one. The session goes on"
used="{\"refreshToken\": \"$refresh\"}"
call 200 POST /api/users/refresh_token "$used"
lost=$(member refreshToken) SECONDS=0
call 200 POST /api/users/refresh_token "$used"
until [ "$(member refreshToken)" != "$lost" ]; do
  sleep 1
  call 200 POST /api/users/refresh_token "$used"
done
access=$(member accessToken) refresh=$(member refreshToken) window=$SECONDS
call 200 GET /api/tasks "" "$access"

# That was the first use of the new access token. Now the service knows that the client has the answer, so the client
# will not send the old refresh token again.
step "8. After the retry window a thief sends the old refresh token: the session ends"
sleep "$((window + 1))"
call 400 POST /api/users/refresh_token "$used"
call 400 POST /api/users/refresh_token "{\"refreshToken\": \"$refresh\"}"
call 401 GET /api/tasks "" "$access"

step "9. Log in again, log out. A thief who kept the refresh token is refused"
call 200 POST /api/users/login "{\"email\": \"$email\", \"password\": \"correct horse battery\"}"
access=$(member accessToken) kept=$(member refreshToken)
call 204 POST /api/users/logout "" "$access"
call 400 POST /api/users/refresh_token "{\"refreshToken\": \"$kept\"}"
call 401 GET /api/tasks "" "$access"

step "The end: all went as it should."
