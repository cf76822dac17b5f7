#include "server/calls/lease_calls.hpp"

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/token_text.hpp"
#include "server/access/audit_notes.hpp"
#include "server/calls/browser_request.hpp"
#include "server/calls/call_reader.hpp"
#include "server/calls/error_answer.hpp"
#include "server/calls/list_answer.hpp"
#include "server/calls/lock_json.hpp"
#include "server/calls/take_back.hpp"
#include "server/json_text.hpp"

namespace locker::server {
namespace {

void answer_no_such_lease(Response& response) {
  answer_error(404, "no_such_lease", "No lease has this token, and none had it recently.",
               response);
}

}  // namespace

void answer_open_lease(LockService& service, const Request& request, Response& response) {
  if (refuse_another_site(request, response)) return;
  std::optional<std::string> owner;
  std::optional<core::Milliseconds> ttl;
  std::optional<core::Token> token;
  CallReader read{request};
  read.parameters()
      .only("owner ttl token")
      .owner(owner)
      .ttl(service.options().max_ttl, ttl)
      .token(token);
  if (read.refused(response)) return;
  const auto opened = service.open_lease(token, owner, ttl);
  response.index = opened.index;
  using Outcome = core::LeaseOutcome;
  switch (opened.answer.outcome) {
    case Outcome::opened:
    case Outcome::living:
      response.status = opened.answer.outcome == Outcome::opened ? 201 : 200;
      if (!token) response.delivery = take_back_unless_delivered(service, opened.answer.token);
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

void answer_look_at_lease(LockService& service, const Request& request, Response& response) {
  if (!request.reads()) return answer_unknown_method(request, response);
  core::Token token;
  std::optional<core::LockId> after;
  CallReader read{request};
  read.parameters()
      .only("token after")
      .value("after", [&](std::string_view text) { return read_after(text, after); })
      .needed_token(token);
  if (read.refused(response)) return;
  const auto looked = service.look_at(token, after);
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

void answer_release_all(LockService& service, const Request& request, Response& response) {
  if (refuse_another_site(request, response)) return;
  core::Token token;
  CallReader read{request};
  read.parameters().only("token").needed_token(token);
  if (read.refused(response)) return;
  std::vector<AuditedLock> ended;
  const auto done = service.release_all(token, is_audited(request) ? &ended : nullptr);
  response.index = done.index;
  using Outcome = core::ReleaseOutcome;
  // If the journal has no room, part of a large lease may have ended nevertheless.
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

void answer_renew(LockService& service, const Request& request, Response& response) {
  if (request.method != Method::post) {
    return answer_wrong_method("POST", "Use POST for this call.", response);
  }
  if (refuse_another_site(request, response)) return;
  std::optional<core::Milliseconds> ttl;
  core::Token token;
  CallReader read{request};
  read.parameters().only("token ttl").ttl(service.options().max_ttl, ttl).needed_token(token);
  if (read.refused(response)) return;
  const auto renewed = service.renew(token, ttl);
  response.index = renewed.index;
  using Outcome = core::LeaseOutcome;
  switch (renewed.answer.outcome) {
    case Outcome::living:
      response.body = "{";
      append_ttl(renewed.answer.ttl, response.body);
      response.body += R"(, "locks": )";
      append_number(renewed.answer.locks, response.body);
      response.body += R"(, "newest_fence": )";
      append_number_or_null(renewed.answer.newest_fence, response.body);
      response.body += R"(, "waiters": )";
      append_number(renewed.answer.waiters, response.body);
      response.body += '}';
      return;
    case Outcome::ended:
      return answer_lease_ended(*renewed.answer.ended, response);
    case Outcome::unknown:
      return answer_no_such_lease(response);
    case Outcome::opened:
    case Outcome::in_use:
    case Outcome::too_many:
    case Outcome::too_much_memory:
    case Outcome::busy:
    case Outcome::disk_full:
      return answer_no_room(renewed.answer.outcome == Outcome::disk_full, response);
  }
}

}  // namespace locker::server
