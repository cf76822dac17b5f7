#include "server/calls/look_calls.hpp"

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "server/access/hidden.hpp"
#include "server/calls/call_kind.hpp"
#include "server/calls/call_reader.hpp"
#include "server/calls/error_answer.hpp"
#include "server/calls/list_answer.hpp"
#include "server/calls/lock_json.hpp"
#include "server/json_text.hpp"

namespace locker::server {
namespace {

using core::Fault;

std::optional<Fault> read_state(std::string_view text,
                                std::optional<core::LockInfo::State>& state) {
  if (text == "cooling") {
    state = core::LockInfo::State::cooling;
  } else if (text == "waiting") {
    state = core::LockInfo::State::waiting;
  } else if (text != "held") {
    return Fault{"Parameter 'state' must be held, cooling or waiting."};
  }
  return std::nullopt;
}

/// Appends how many entries a truncated list leaves out.
void append_rest(std::size_t count, std::size_t shown, std::string_view what, std::string& text) {
  if (count <= shown) return;
  text += "… and " + std::to_string(count - shown);
  text += count == LockService::PathState::counted_max ? " or more " : " more ";
  text += what;
  text += '\n';
}

}  // namespace

void answer_list(LockService& service, const Request& request, Response& response) {
  if (!request.reads()) return answer_unknown_method(request, response);
  LockPages::Query wanted;
  std::optional<std::string> prefix;
  std::optional<std::uint64_t> limit;
  CallReader read{request};
  read.parameters()
      .only("prefix owner state limit after")
      .prefix(prefix)
      .owner(wanted.owner)
      .value("state", [&](std::string_view text) { return read_state(text, wanted.state); })
      .number("limit", 1, 1'000, limit)
      .value("after", [&](std::string_view text) { return read_after(text, wanted.after); });
  if (read.refused(response)) return;
  wanted.packed_prefix = prefix.value_or("");
  wanted.limit = limit.value_or(wanted.limit);
  const auto listed = service.list(wanted);
  const LockPages::Page& page = listed.answer;
  response.index = listed.index;
  if (wants_text(request)) {
    return answer_text(text_page(page, listed.now), response);
  }
  response.body = R"({"locks": )";
  append_list(page.locks, response.body, [&](const core::LockInfo& info, std::size_t) {
    if (info.state == core::LockInfo::State::waiting) {
      append_waiter(info, listed.now, 0, response.body);
    } else {
      append_lock(info, listed.now, response.body);
    }
  });
  append_next(page.next, response.body);
}

void answer_look(LockService& service, const Request& request, Response& response) {
  if (!request.reads()) return answer_unknown_method(request, response);
  core::Path path;
  CallReader read{request};
  read.path(path_of_lock(request.target), path).parameters().only("");
  if (read.refused(response)) return;
  auto looked = service.look_at(path);
  LockService::PathState& state = looked.answer;
  hide_unreadable(request.caller, state.covered_by);
  std::vector<core::LockInfo> awaited_by;
  if (state.awaited_by) awaited_by.push_back(std::move(*state.awaited_by));
  hide_unreadable(request.caller, awaited_by);
  response.index = looked.index;
  if (wants_text(request)) {
    std::vector<core::LockInfo> all = state.holders;
    all.insert(all.end(), state.covered_by.begin(), state.covered_by.end());
    all.insert(all.end(), awaited_by.begin(), awaited_by.end());
    all.insert(all.end(), state.waiters.begin(), state.waiters.end());
    std::string text = text_table(all, looked.now);
    append_rest(state.holder_count, state.holders.size(), "that hold it", text);
    append_rest(state.covered_by_count, state.covered_by.size(), "in its way", text);
    append_rest(state.waiter_count, state.waiters.size(), "that wait for it", text);
    return answer_text(std::move(text), response);
  }
  std::string& body = response.body;
  const auto append_held = [&](const core::LockInfo& info, std::size_t) {
    append_lock(info, looked.now, body);
  };
  body = R"({"path": )";
  append_path(path.view().packed(), body);
  body += R"(, "free": )";
  body += state.is_free ? "true" : "false";
  body += R"(, "holders": )";
  append_list(state.holders, body, append_held);
  body += R"(, "holder_count": )" + std::to_string(state.holder_count);
  body += R"(, "covered_by": )";
  append_list(state.covered_by, body, append_held);
  body += R"(, "covered_by_count": )" + std::to_string(state.covered_by_count);
  body += R"(, "awaited_by": )";
  append_list(awaited_by, body, [&](const core::LockInfo& info, std::size_t) {
    append_waiter(info, looked.now, 0, body);
  });
  body += R"(, "waiters": )";
  append_list(state.waiters, body, [&](const core::LockInfo& info, std::size_t i) {
    append_waiter(info, looked.now, i + 1, body);
  });
  body += R"(, "waiter_count": )" + std::to_string(state.waiter_count) + "}";
}

}  // namespace locker::server
