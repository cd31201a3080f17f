-- What wrk sends: each thread is one client with one connection, so that each client keeps its own tokens.
--   wrk --threads N --connections N --script load.lua URL -- ROUTE CLIENTS
-- CLIENTS is a file with one line for each client, tabs between: email, password, user id, access token, refresh token.
local clients = 0

function setup(thread)
  clients = clients + 1
  thread:set("number", clients)
end

function init(arguments)
  local route, file = arguments[1], arguments[2]
  local line = 0
  for text in io.lines(file) do
    line = line + 1
    if line == number then
      email, password, user, access, refresh = text:match("^(.-)\t(.-)\t(.-)\t(.-)\t(.-)$")
    end
  end
  local headers = { ["Content-Type"] = "application/json", ["Authorization"] = "Bearer " .. access }
  local fixed = {
    health = function() return wrk.format("GET", "/health/live") end,
    list = function() return wrk.format("GET", "/api/tasks?limit=20", headers) end,
    add = function() return wrk.format("POST", "/api/tasks", headers, '{"name": "a task"}') end,
    login = function()
      local body = '{"email": "' .. email .. '", "password": "' .. password .. '"}'
      return wrk.format("POST", "/api/users/login", headers, body)
    end,
  }
  if fixed[route] then
    local text = fixed[route]()
    request = function() return text end
  else
    headers["Authorization"] = nil
    request = function()
      local body = '{"userId": ' .. user .. ', "refreshToken": "' .. refresh .. '"}'
      return wrk.format("POST", "/api/users/refresh_token", headers, body)
    end
    response = function(status, _, body)
      if status == 200 then refresh = body:match('"refreshToken": ?"([^"]+)"') end
    end
  end
end

function done(summary, latency)
  local errors = summary.errors
  io.write(string.format(
    '{"requests": %d, "seconds": %.6f, "p50": %.3f, "p99": %.3f, "max": %.3f, "failed": %d}\n',
    summary.requests, summary.duration / 1e6,
    latency:percentile(50) / 1e3, latency:percentile(99) / 1e3, latency.max / 1e3,
    errors.connect + errors.read + errors.write + errors.status + errors.timeout))
end
