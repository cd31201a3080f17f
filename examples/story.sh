#!/usr/bin/env bash
# The whole story of the tutorial, step by step, with what comes back. It stops at the first surprise.
#
#   TASKS_ACCESS_TOKEN_SECONDS=4 TASKS_REFRESH_RETRY_SECONDS=1 make run    (in another terminal)
#   examples/story.sh        URL=http://localhost:5217 is the default
set -euo pipefail
cd "$(dirname "$0")"
source ./lib.bash

step "1. Log in as the demo user"
call 200 POST /api/users/login '{"email": "anna@example.com", "password": "Tasks-demo-2026"}'

step "2. Log in with a wrong email: refused, and nobody learns whether it was the email or the password"
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
used=$refresh
call 200 POST /api/users/refresh_token "{\"refreshToken\": \"$refresh\"}"
access=$(member accessToken) refresh=$(member refreshToken)
call 200 GET /api/tasks "" "$access"

step "7. Refresh once more; then somebody uses the token before the last: it was stolen, the session is over"
call 200 POST /api/users/refresh_token "{\"refreshToken\": \"$refresh\"}"
access=$(member accessToken) refresh=$(member refreshToken)
call 400 POST /api/users/refresh_token "{\"refreshToken\": \"$used\"}"
call 400 POST /api/users/refresh_token "{\"refreshToken\": \"$refresh\"}"
call 401 GET /api/tasks "" "$access"

step "8. Log in again, log out; the malicious user who kept the refresh token is refused"
call 200 POST /api/users/login "{\"email\": \"$email\", \"password\": \"correct horse battery\"}"
access=$(member accessToken) kept=$(member refreshToken)
call 204 POST /api/users/logout "" "$access"
call 400 POST /api/users/refresh_token "{\"refreshToken\": \"$kept\"}"
call 401 GET /api/tasks "" "$access"

step "The end: all went as it should."
