#include "tests/histories/history.hpp"

#include <algorithm>
#include <array>
#include <stdexcept>

#include <boost/json.hpp>

#include "tests/histories/json_lines.hpp"

namespace locker::histories {
namespace {

namespace json = boost::json;

constexpr std::array<std::string_view, 12> kind_names{
    "canhaz",      "nowant", "dohaz",      "acquire", "several",       "release",
    "release_all", "renew",  "open_lease", "look",    "look_at_lease", "force"};

template <typename Names>
std::size_t place_of(const Names& names, std::string_view name) {
  const auto at = std::find(names.begin(), names.end(), name);
  if (at == names.end()) throw std::runtime_error("the unknown word " + std::string{name});
  return static_cast<std::size_t>(at - names.begin());
}

std::optional<std::int64_t> number_or_null(const json::object& object, std::string_view name) {
  const json::value* const value = object.if_contains(name);
  if (value == nullptr || value->is_null()) return std::nullopt;
  return value->to_number<std::int64_t>();
}

Shape read_shape(const json::object& object) {
  Shape shape;
  shape.is_shared = text_of(object, "mode") == "shared";
  shape.lock_parents = flag_of(object, "lock_parents", true);
  shape.lock_children = flag_of(object, "lock_children", true);
  return shape;
}

Listed read_listed(const json::object& object) {
  Listed listed;
  listed.path = text_of(object, "path");
  listed.owner = text_of(object, "owner");
  listed.shape = read_shape(object);
  listed.fence = static_cast<Fence>(number_of(object, "fence"));
  constexpr std::array<std::string_view, 3> states{"held", "cooling", "waiting"};
  if (const std::string state = text_of(object, "state"); !state.empty()) {
    listed.state = static_cast<Listed::State>(place_of(states, state));
  }
  listed.ttl_ms = number_of(object, "ttl_ms");
  listed.expires_in_ms = number_or_null(object, "expires_in_ms");
  listed.meta = text_of(object, "meta");
  return listed;
}

std::vector<Listed> read_list(const json::object& object, std::string_view name) {
  std::vector<Listed> list;
  const json::value* const value = object.if_contains(name);
  if (value == nullptr || !value->is_array()) return list;  // a renewal counts its locks only
  for (const json::value& each : value->get_array()) list.push_back(read_listed(each.as_object()));
  return list;
}

Reply read_reply(const json::object& body) {
  Reply reply;
  reply.ok = flag_of(body, "ok", false);
  if (const auto* const owner = body.if_contains("lockedBy"); owner != nullptr) {
    if (!owner->is_null()) reply.locked_by = std::string{owner->as_string()};
  }
  reply.error = text_of(body, "error");
  reply.reason = text_of(body, "reason");
  reply.token = text_of(body, "token");
  reply.owner = text_of(body, "owner");
  reply.fence = static_cast<Fence>(number_of(body, "fence"));
  reply.ttl_ms = number_of(body, "ttl_ms");
  reply.expires_in_ms = number_or_null(body, "expires_in_ms");
  reply.waited_ms = number_of(body, "waited_ms");
  reply.locks = read_list(body, "locks");
  if (body.contains("fence") && body.contains("path")) reply.locks.push_back(read_listed(body));
  reply.holders = read_list(body, "holders");
  reply.covered_by = read_list(body, "covered_by");
  reply.waiters = read_list(body, "waiters");
  reply.blocked_by = read_list(body, "blocked_by");
  reply.is_free = flag_of(body, "free", false);
  reply.waiter_count = static_cast<std::size_t>(number_of(body, "waiter_count"));
  for (const char* const name : {"released", "ended", "locks"}) {
    const json::value* const value = body.if_contains(name);
    if (value != nullptr && value->is_number()) reply.count = value->to_number<std::size_t>();
  }
  if (const json::value* const cycle = body.if_contains("cycle")) {
    for (const json::value& step : cycle->as_array()) {
      const json::object& object = step.as_object();
      const json::object& blocked_by = object.at("blocked_by").as_object();
      reply.cycle.push_back({text_of(object, "owner"), text_of(object, "waits_for"),
                             text_of(blocked_by, "path"),
                             static_cast<Fence>(number_of(blocked_by, "fence"))});
    }
  }
  return reply;
}

json::object describe(const Wanted& wanted) {
  return {{"path", wanted.path},
          {"mode", wanted.shape.is_shared ? "shared" : "exclusive"},
          {"lock_parents", wanted.shape.lock_parents},
          {"lock_children", wanted.shape.lock_children}};
}

Operation read_operation(const json::object& object) {
  Operation operation;
  operation.kind = static_cast<Kind>(place_of(kind_names, text_of(object, "kind")));
  operation.client = static_cast<unsigned>(number_of(object, "client"));
  operation.attempt = static_cast<unsigned>(number_of(object, "attempt"));
  operation.token = text_of(object, "token");
  operation.owner = text_of(object, "owner");
  if (const json::value* const all = object.if_contains("wanted")) {
    for (const json::value& each : all->as_array()) {
      operation.wanted.push_back({text_of(each.as_object(), "path"), read_shape(each.as_object())});
    }
  }
  operation.any = static_cast<std::size_t>(number_of(object, "any"));
  operation.ttl_ms = number_or_null(object, "ttl_ms");
  operation.wait_ms = number_of(object, "wait_ms");
  operation.lock_delay_ms = number_of(object, "lock_delay_ms");
  operation.meta = text_of(object, "meta");
  if (const json::value* const filter = object.if_contains("filter")) {
    const json::object& fields = filter->as_object();
    operation.filter = {text_of(fields, "path"), text_of(fields, "prefix"),
                        text_of(fields, "owner"), static_cast<Fence>(number_of(fields, "fence"))};
  }
  operation.sent = number_of(object, "sent_ns");
  operation.closed = number_of(object, "closed_ns");
  operation.got = number_of(object, "got_ns");
  operation.status = static_cast<unsigned>(number_of(object, "status"));
  operation.index = static_cast<Index>(number_of(object, "index"));
  if (const json::value* const body = object.if_contains("reply"); body != nullptr) {
    if (body->is_object()) operation.reply = read_reply(body->get_object());
  }
  return operation;
}

}  // namespace

std::string_view name_of(Kind kind) { return kind_names.at(static_cast<std::size_t>(kind)); }

std::string first_line_of(const History& history) {
  return json::serialize(
      json::object{{"seed", history.seed}, {"canhaz_ttl_ms", history.canhaz_ttl_ms}});
}

std::string line_of(const Operation& operation) {
  json::object object{{"kind", name_of(operation.kind)},
                      {"client", operation.client},
                      {"attempt", operation.attempt}};
  const auto put = [&object](const char* name, const auto& value, bool is_there) {
    if (is_there) object[name] = value;
  };
  put("token", operation.token, !operation.token.empty());
  put("owner", operation.owner, !operation.owner.empty());
  if (!operation.wanted.empty()) {
    json::array all;
    for (const Wanted& wanted : operation.wanted) all.push_back(describe(wanted));
    object["wanted"] = std::move(all);
  }
  put("any", operation.any, operation.any != 0);
  put("ttl_ms", operation.ttl_ms.value_or(0), operation.ttl_ms.has_value());
  put("wait_ms", operation.wait_ms, operation.wait_ms != 0);
  put("lock_delay_ms", operation.lock_delay_ms, operation.lock_delay_ms != 0);
  put("meta", operation.meta, !operation.meta.empty());
  if (operation.kind == Kind::force) {
    const ForceFilter& filter = operation.filter;
    object["filter"] = json::object{{"path", filter.path},
                                    {"prefix", filter.prefix},
                                    {"owner", filter.owner},
                                    {"fence", filter.fence}};
  }
  object["sent_ns"] = operation.sent;
  put("closed_ns", operation.closed, operation.closed != 0);
  put("got_ns", operation.got, operation.is_answered());
  put("status", operation.status, operation.is_answered());
  put("index", operation.index, operation.is_answered());
  std::string line = json::serialize(object);
  if (operation.is_answered() && !operation.body.empty()) {
    line.back() = ',';
    line += "\"reply\": " + operation.body + "}";
  }
  return line;
}

Operation parse_operation(std::string_view line) {
  return read_operation(json::parse({line.data(), line.size()}).as_object());
}

Reply parse_reply(std::string_view body) {
  return read_reply(json::parse({body.data(), body.size()}).as_object());
}

History read_history(const std::string& file) {
  History history;
  for_each_json_line(file, [&history](std::uint64_t line, const json::object& object) {
    if (line == 1) {
      history.seed = static_cast<std::uint64_t>(number_of(object, "seed"));
      history.canhaz_ttl_ms = number_of(object, "canhaz_ttl_ms");
      return;
    }
    history.operations.push_back(read_operation(object));
    history.operations.back().line = line;
  });
  return history;
}

std::vector<ServerEvent> read_server_events(const std::string& file) {
  constexpr std::array<std::string_view, 4> names{"killed", "started", "stopped", "continued"};
  std::vector<ServerEvent> events;
  for_each_json_line(file, [&](std::uint64_t, const json::object& object) {
    events.push_back({static_cast<ServerEvent::Kind>(place_of(names, text_of(object, "event"))),
                      number_of(object, "at_ns"), static_cast<Index>(number_of(object, "index"))});
  });
  return events;
}

}  // namespace locker::histories
