#!/usr/bin/env bash
# Two devices of one user: list them, sign one out, change the password on the other.
# The service is looked for at http://localhost:5217. For another address: URL=http://localhost:8000 examples/devices.sh
set -euo pipefail
cd "$(dirname "$0")"
source ./lib.bash

email="devices-$$-$RANDOM@example.com"
login() { echo "{\"email\": \"$email\", \"password\": \"$1\"}"; }

step "1. Sign up, log in on a laptop and on a phone"
call 201 POST /api/users/signup "{\"email\": \"$email\", \"password\": \"correct horse battery\",
  \"confirmPassword\": \"correct horse battery\", \"firstName\": \"Dora\", \"lastName\": \"Devices\"}"
call 200 POST /api/users/login "$(login 'correct horse battery')"
laptop=$(member accessToken)
call 200 POST /api/users/login "$(login 'correct horse battery')"
phone=$(member accessToken)

step "2. See both, and sign the phone out from the laptop"
call 200 GET /api/users/sessions "" "$phone"
session=$(python3 -c 'import json, sys; print(next(s["sessionId"] for s in json.load(sys.stdin) if s["current"]))' <<<"$answer")
call 204 DELETE "/api/users/sessions/$session" "" "$laptop"
call 401 GET /api/users/info "" "$phone"

step "3. Change the password: every session ends, the answer opens a new one"
call 200 PUT /api/users/password '{"currentPassword": "correct horse battery",
  "newPassword": "staple battery horse", "confirmPassword": "staple battery horse"}' "$laptop"
fresh=$(member accessToken)
call 401 GET /api/users/info "" "$laptop"
call 200 GET /api/users/info "" "$fresh"
call 401 POST /api/users/login "$(login 'correct horse battery')"

step "The end: all went as it should."
