-- Queries one path, `depth` requests to a write: wrk -s query.lua URL -- DEPTH
function init(arguments)
  local one = wrk.format("GET", "/dohaz/bench/a/path/of/some/depth")
  requests = string.rep(one, tonumber(arguments[1] or "1"))
end
function request() return requests end
