#include "server/calls/v1.hpp"

#include <algorithm>
#include <charconv>

#include "core/token_text.hpp"
#include "server/access/audited.hpp"
#include "server/access/hidden.hpp"
#include "server/calls/accept_header.hpp"
#include "server/calls/browser_request.hpp"
#include "server/calls/call_reader.hpp"
#include "server/calls/error_answer.hpp"
#include "server/calls/force_call.hpp"
#include "server/calls/lock_json.hpp"
#include "server/calls/openapi.hpp"
#include "server/calls/take_back.hpp"
#include "server/json_text.hpp"

namespace locker::server {
namespace {

using core::Fault;

void refuse_method(std::string_view allowed, Response& response) {
  response.allow = allowed;
  answer_error(405, "method_not_allowed", "Use " + std::string{allowed} + " for this call.",
               response);
}

void answer_no_such_lease(Response& response) {
  answer_error(404, "no_such_lease", "No lease has this token, nor had one lately.", response);
}

/// One that neither locks nor leases know.
void refuse_unknown_method(const Request& request, Response& response) {
  if (refuse_another_site(request, response)) return;
  refuse_method("GET, HEAD, POST, DELETE", response);
}

bool wants_text(const Request& request) {
  return quality_of("text/plain", request.accept) > quality_of("application/json", request.accept);
}

void answer_text(std::string text, Response& response) {
  response.content_type = "text/plain; charset=utf-8";
  response.body = std::move(text);
}

/// The place of a page, as `next` tells it.
std::string text_of(core::LockId place) {
  return std::to_string(place.fence) + "." + std::to_string(place.position);
}

std::optional<Fault> read_after(std::string_view text, std::optional<core::LockId>& after) {
  // What is no place is not the first page: who asks for one page after the other would for ever.
  core::LockId place;
  const char* const end = text.data() + text.size();
  auto read = std::from_chars(text.data(), end, place.fence);
  if (read.ec == std::errc{} && read.ptr != end && *read.ptr == '.') {
    read = std::from_chars(read.ptr + 1, end, place.position);
  }
  constexpr std::size_t size_max = 30;
  if (read.ec != std::errc{} || read.ptr != end || text.size() > size_max) {
    return Fault{
        "Parameter 'after' must be what `next` of the page before said; leave it out for the first "
        "page."};
  }
  after = place;
  return std::nullopt;
}

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

void append_next(std::optional<core::LockId> next, std::string& body) {
  body += R"(, "next": )";
  body += next ? "\"" + text_of(*next) + "\"}" : "null}";
}

std::string text_page(const LockPages::Page& page, const core::Now& now) {
  std::string text = text_table(page.locks, now);
  if (page.next) text += "… go on with after=" + text_of(*page.next) + "\n";
  return text;
}

/// Of a list that does not show all there are.
void append_rest(std::size_t count, std::size_t shown, std::string_view what, std::string& text) {
  if (count <= shown) return;
  text += "… and " + std::to_string(count - shown);
  text += count == LockService::PathState::counted_max ? " or more " : " more ";
  text += what;
  text += '\n';
}

template <typename Append>
void append_list(const std::vector<core::LockInfo>& infos, std::string& body,
                 const Append& append) {
  body += '[';
  for (std::size_t i = 0; i < infos.size(); ++i) {
    if (i != 0) body += ", ";
    append(infos[i], i);
  }
  body += ']';
}

}  // namespace

void V1::release(std::string_view path_text, std::string_view query, const Request& request,
                 Response& response) {
  if (refuse_another_site(request, response)) return;
  core::Path path;
  bool is_force = false;
  CallReader read{request};
  read.path(path_text, path).parameters(query).flag("force", is_force);
  if (is_force) {
    response.call = CallKind::force;  // which its target alone does not tell
    return answer_force_one(service_, path, read, request, response);
  }
  core::Token token;
  read.only("token force").needed_token(token);
  if (read.refused(response)) return;
  const auto done = service_.release(path, token);
  response.index = done.index;
  using Outcome = core::ReleaseOutcome;
  switch (done.answer.outcome) {
    case Outcome::released:
    case Outcome::left:
    case Outcome::released_before:
      response.body = R"({"path": )";
      append_path(path.view().packed(), response.body);
      response.body += R"(, "released": true, "fence": )";
      append_number_or_null(done.answer.fence, response.body);
      response.body += '}';
      if (done.answer.outcome == Outcome::released) {
        note_release(request, done.answer.fence, response);
      }
      return;
    case Outcome::lease_ended:
      return answer_lease_ended(*done.answer.ended, response);
    case Outcome::wrong_token:
      return answer_error(403, "wrong_token",
                          "Another lease holds this path; use the token that its acquire answered.",
                          response);
    case Outcome::not_held:
      return answer_error(404, "not_held", "Nobody holds exactly this path.", response);
    case Outcome::busy:
    case Outcome::disk_full:
      return answer_no_room(done.answer.outcome == Outcome::disk_full, response);
  }
}

void V1::look(std::string_view path_text, std::string_view query, const Request& request,
              Response& response) {
  if (!request.reads()) return refuse_unknown_method(request, response);
  core::Path path;
  CallReader read{request};
  read.path(path_text, path).parameters(query).only("");
  if (read.refused(response)) return;
  auto looked = service_.look_at(path);
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

void V1::list(std::string_view query, const Request& request, Response& response) {
  if (!request.reads()) return refuse_unknown_method(request, response);
  LockPages::Query wanted;
  std::optional<std::string> prefix;
  std::optional<std::uint64_t> limit;
  CallReader read{request};
  read.parameters(query)
      .only("prefix owner state limit after")
      .prefix(prefix)
      .owner(wanted.owner)
      .value("state", [&](std::string_view text) { return read_state(text, wanted.state); })
      .number("limit", 1, 1'000, limit)
      .value("after", [&](std::string_view text) { return read_after(text, wanted.after); });
  if (read.refused(response)) return;
  wanted.packed_prefix = prefix.value_or("");
  wanted.limit = limit.value_or(wanted.limit);
  const auto listed = service_.list(wanted);
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

void V1::open_lease(std::string_view query, const Request& request, Response& response) {
  if (refuse_another_site(request, response)) return;
  std::optional<std::string> owner;
  std::optional<core::Milliseconds> ttl;
  std::optional<core::Token> token;
  CallReader read{request};
  read.parameters(query)
      .only("owner ttl token")
      .owner(owner)
      .ttl(service_.options().max_ttl, ttl)
      .token(token);
  if (read.refused(response)) return;
  const auto opened = service_.open_lease(token, owner, ttl);
  response.index = opened.index;
  using Outcome = core::LeaseOutcome;
  switch (opened.answer.outcome) {
    case Outcome::opened:
    case Outcome::living:
      response.status = opened.answer.outcome == Outcome::opened ? 201 : 200;
      if (!token) response.delivery = take_back_unless_delivered(service_, opened.answer.token);
      response.body = R"({"token": ")";
      core::append_token(opened.answer.token, response.body);
      response.body += R"(", "owner": )";
      append_owner(opened.answer.owner, response.body);
      response.body += ", ";
      append_ttl(opened.answer.ttl, response.body);
      response.body += '}';
      return;
    case Outcome::ended:
      return answer_lease_ended(*opened.answer.ended, response);
    case Outcome::in_use:
      return answer_token_in_use(*opened.answer.in_use, response);
    case Outcome::too_many:
      return answer_limit(core::Outcome::too_many_leases, response);
    case Outcome::too_much_memory:
      return answer_limit(core::Outcome::too_much_memory, response);
    case Outcome::unknown:
    case Outcome::busy:
    case Outcome::disk_full:
      return answer_no_room(opened.answer.outcome == Outcome::disk_full, response);
  }
}

void V1::renew(std::string_view query, const Request& request, Response& response) {
  if (request.method != Method::post) return refuse_method("POST", response);
  if (refuse_another_site(request, response)) return;
  std::optional<core::Milliseconds> ttl;
  core::Token token;
  CallReader read{request};
  read.parameters(query).only("token ttl").ttl(service_.options().max_ttl, ttl).needed_token(token);
  if (read.refused(response)) return;
  const auto renewed = service_.renew(token, ttl);
  response.index = renewed.index;
  using Outcome = core::LeaseOutcome;
  switch (renewed.answer.outcome) {
    case Outcome::ended:
      return answer_lease_ended(*renewed.answer.ended, response);
    case Outcome::unknown:
      return answer_no_such_lease(response);
    case Outcome::busy:
    case Outcome::disk_full:
      return answer_no_room(renewed.answer.outcome == Outcome::disk_full, response);
    default:
      break;
  }
  response.body = "{";
  append_ttl(renewed.answer.ttl, response.body);
  response.body += R"(, "locks": )";
  append_number(renewed.answer.locks, response.body);
  response.body += R"(, "newest_fence": )";
  append_number_or_null(renewed.answer.newest_fence, response.body);
  response.body += R"(, "waiters": )";
  append_number(renewed.answer.waiters, response.body);
  response.body += '}';
}

void V1::look_at_lease(std::string_view query, const Request& request, Response& response) {
  if (!request.reads()) return refuse_unknown_method(request, response);
  core::Token token;
  std::optional<core::LockId> after;
  CallReader read{request};
  read.parameters(query)
      .only("token after")
      .value("after", [&](std::string_view text) { return read_after(text, after); })
      .needed_token(token);
  if (read.refused(response)) return;
  const auto looked = service_.look_at(token, after);
  const LockService::LeaseContents& contents = looked.answer;
  response.index = looked.index;
  if (contents.ended) {
    return answer_lease_ended(*contents.ended, response);
  }
  if (!contents.is_living) {
    return answer_error(404, "no_such_lease", "No lease has this token now.", response);
  }
  if (wants_text(request)) {
    return answer_text(text_page(contents.page, looked.now), response);
  }
  response.body = R"({"owner": )";
  append_owner(contents.owner, response.body);
  response.body += R"(, "ttl_ms": )";
  append_number_or_null(contents.ttl.count(), response.body);
  response.body += R"(, "expires_in_ms": )";
  std::optional<core::Duration> left;
  if (contents.expires) left = std::max(*contents.expires - looked.now.instant, core::Duration{0});
  append_milliseconds(left, response.body);
  response.body += R"(, "locks": )";
  append_list(contents.page.locks, response.body, [&](const core::LockInfo& info, std::size_t) {
    append_lock(info, looked.now, response.body);
  });
  append_next(contents.page.next, response.body);
}

void V1::release_all(std::string_view query, const Request& request, Response& response) {
  if (refuse_another_site(request, response)) return;
  core::Token token;
  CallReader read{request};
  read.parameters(query).only("token").needed_token(token);
  if (read.refused(response)) return;
  std::vector<AuditedLock> ended;
  const auto done = service_.release_all(token, is_audited(request) ? &ended : nullptr);
  response.index = done.index;
  using Outcome = core::ReleaseOutcome;
  // Where the journal has no room, a part of a large lease can have ended all the same.
  const bool stopped =
      done.answer.outcome == Outcome::busy || done.answer.outcome == Outcome::disk_full;
  const bool has_ended =
      done.answer.outcome == Outcome::released || (stopped && done.answer.count > 0);
  if (is_audited(request) && has_ended) {
    response.audit = std::make_unique<AuditNote>();
    response.audit->outcome = AuditOutcome::released;
    response.audit->count = done.answer.count;
    for (const AuditedLock& lock : ended) {
      response.audit->packed_paths.push_back(lock.packed_path);
    }
    response.audit->locks = std::move(ended);
  }
  switch (done.answer.outcome) {
    case Outcome::released:
    case Outcome::left:
    case Outcome::released_before:
      response.body = R"({"released": )" + std::to_string(done.answer.count) + "}";
      return;
    case Outcome::lease_ended:
      return answer_lease_ended(*done.answer.ended, response);
    case Outcome::wrong_token:
    case Outcome::not_held:
      return answer_no_such_lease(response);
    case Outcome::busy:
    case Outcome::disk_full:
      return answer_no_room(done.answer.outcome == Outcome::disk_full, response);
  }
}

void V1::events(std::string_view query, const Request& request, Response& response) {
  if (!request.reads()) return refuse_method("GET, HEAD", response);
  std::optional<std::string> prefix;
  CallReader read{request};
  read.parameters(query).only("prefix").prefix(prefix);
  if (read.refused(response)) return;
  response.stream = service_.events().follow(prefix.value_or(""), request.last_event_id);
  if (!response.stream) {
    return answer_error(503, "too_many_event_readers",
                        "As many clients follow events as may (--event-readers-max, or an eighth "
                        "of --connections-max); try again later.",
                        response);
  }
  response.content_type = "text/event-stream";
  // A proxy like nginx would else collect kilobytes before it passes on the first one.
  response.other_fields = "Cache-Control: no-store\r\nX-Accel-Buffering: no\r\n";
}

void V1::describe(const Request& request, Response& response) {
  if (!request.reads()) return refuse_method("GET, HEAD", response);
  response.body = openapi_json;
}

}  // namespace locker::server
