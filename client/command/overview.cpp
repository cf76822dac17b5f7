#include "client/command/overview.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <utility>
#include <vector>

#include "client/command/terminal_text.hpp"
#include "client/library/calls.hpp"

namespace locker::client {
namespace {

namespace json = boost::json;

constexpr milliseconds timeout{5'000};
constexpr unsigned waiters_looked_at = 1'000;
constexpr std::size_t meta_shown = 40;

std::int64_t number_of(const json::object& object, const char* name) {
  const json::value* const value = object.if_contains(name);
  return value != nullptr && value->is_number() ? value->to_number<std::int64_t>() : 0;
}

/// 1234567 as 1,234,567.
std::string grouped(std::int64_t number) {
  std::string digits = std::to_string(number);
  for (std::size_t at = digits.size(); at > 3; at -= 3) digits.insert(at - 3, ",");
  return digits;
}

net::awaitable<Result<json::object>> async_ask(HttpClient& client, const Call& call) {
  Result<Reply> reply = co_await client.async_call(call, timeout);
  if (!reply) co_return reply.error();
  if (reply->status != 200) co_return reply->failure();
  co_return reply->json();
}

/// The paths with waiters, each once, with the time of its longest waiter; the longest wait first.
std::vector<std::pair<std::string, milliseconds>> paths_waited_for(const json::object& page,
                                                                   std::size_t most) {
  std::vector<std::pair<std::string, milliseconds>> paths;
  for (const json::value& each : list_field(page, "locks")) {
    if (!each.is_object() || paths.size() == most) continue;
    const json::object& waiter = each.get_object();
    const json::value* const path = waiter.if_contains("path");
    if (path == nullptr || !path->is_string()) continue;
    const std::string name{path->get_string()};
    const auto is_same = [&](const auto& known) { return known.first == name; };
    if (std::any_of(paths.begin(), paths.end(), is_same)) continue;
    paths.emplace_back(name, milliseconds{number_of(waiter, "waiting_ms")});
  }
  return paths;
}

/// The lock in the way of a path's waiters; empty if only another waiter is.
json::object holder_of(const json::object& state) {
  for (const char* const name : {"holders", "covered_by"}) {
    const json::array list = list_field(state, name);
    if (!list.empty() && list.front().is_object()) return list.front().get_object();
  }
  return {};
}

std::string queues_text(const Overview& overview) {
  std::vector<Row> rows{
      {"WAITED FOR", "IN LINE", "LONGEST", "FIRST", "HELD BY", "AT", "SINCE", "EXPIRES"}};
  for (const Overview::Queue& queue : overview.queues) {
    const json::array waiters = list_field(queue.state, "waiters");
    if (waiters.empty() || !waiters.front().is_object()) continue;  // the wait is over
    const json::object holder = holder_of(queue.state);
    rows.push_back({text_field(queue.state, "path"),
                    grouped(number_of(queue.state, "waiter_count")), short_duration(queue.wait),
                    text_field(waiters.front().get_object(), "owner"), text_field(holder, "owner"),
                    text_field(holder, "path"), duration_field(holder, "held_ms"),
                    duration_field(holder, "expires_in_ms")});
  }
  if (rows.size() > 1) return table(rows);
  if (number_of(overview.status, "waiters") == 0) return "Nobody waits.\n";
  return "Nobody is in line now; a client that left keeps its place for 15 s.\n";
}

std::string oldest_text(const Overview& overview) {
  std::vector<Row> rows{{"HELD LONGEST", "OWNER", "MODE", "SINCE", "EXPIRES", "META"}};
  for (const json::value& each : overview.oldest) {
    if (!each.is_object()) continue;
    const json::object& lock = each.get_object();
    rows.push_back({text_field(lock, "path"), text_field(lock, "owner"), text_field(lock, "mode"),
                    duration_field(lock, "held_ms"), duration_field(lock, "expires_in_ms"),
                    shortened(text_field(lock, "meta"), meta_shown)});
  }
  return rows.size() == 1 ? "Nothing is held.\n" : table(rows);
}

std::string changes_text(const Overview& overview, const std::optional<Overview>& before) {
  if (!before) return "";
  const std::chrono::duration<double> passed = overview.asked_at - before->asked_at;
  const std::int64_t changes =
      number_of(overview.status, "index") - number_of(before->status, "index");
  if (passed.count() <= 0 || changes < 0) return "";
  const double in_a_second = static_cast<double>(changes) / passed.count();
  return "; " + grouped(std::llround(in_a_second)) + " changes a second";
}

}  // namespace

net::awaitable<Result<Overview>> async_overview(HttpClient& client, std::size_t rows) {
  Overview overview;
  overview.asked_at = SteadyClock::now();
  Call ask_status;
  ask_status.target = "/v1/status";
  Result<json::object> status = co_await async_ask(client, ask_status);
  if (!status) co_return status.error();
  overview.status = std::move(*status);

  ListFilter waiting;
  waiting.state = "waiting";
  waiting.limit = waiters_looked_at;
  const Call ask_waiting = list_call(waiting);
  Result<json::object> waiters = co_await async_ask(client, ask_waiting);
  if (!waiters) co_return waiters.error();
  const auto paths = paths_waited_for(*waiters, rows);
  for (const auto& [path, wait] : paths) {
    const Call look = look_call(path);
    Result<json::object> state = co_await async_ask(client, look);
    if (!state) co_return state.error();
    overview.queues.push_back({std::move(*state), wait});
  }

  ListFilter held;
  held.limit = static_cast<unsigned>(std::max<std::size_t>(rows, 1));
  const Call ask_held = list_call(held);
  Result<json::object> oldest = co_await async_ask(client, ask_held);
  if (!oldest) co_return oldest.error();
  overview.oldest = list_field(*oldest, "locks");
  co_return overview;
}

std::string text_of(const Overview& overview, const ServerAddress& server,
                    const std::optional<Overview>& before) {
  const json::object& status = overview.status;
  std::string text = "Locker " + text_field(status, "version") + " at " + server.url() +
                     ", durability " + text_field(status, "durability") + "\n";
  text += grouped(number_of(status, "locks")) + " locks held by " +
          grouped(number_of(status, "leases")) + " leases, " +
          grouped(number_of(status, "waiters")) + " requests wait" +
          changes_text(overview, before) + "\n\n";
  return text + queues_text(overview) + "\n" + oldest_text(overview);
}

}  // namespace locker::client
