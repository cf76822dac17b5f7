-- Acquires and releases in turn. wrk does not say which connection an answer came by, so give it
-- as many threads as connections: wrk -t64 -c64 -s acquire_release.lua URL
local threads = 0
function setup(thread)
  thread:set("number", threads)
  threads = threads + 1
end

local path = nil
local token = nil
function request()
  path = "/bench/wrk/" .. number
  if token then return wrk.format("GET", "/nowant" .. path .. "?token=" .. token) end
  return wrk.format("GET", "/canhaz" .. path .. "?id=wrk")
end

function response(status, headers, body)
  token = body:match('"token": "([^"]+)"')
end
