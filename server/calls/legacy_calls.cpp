#include "server/calls/legacy_calls.hpp"

#include <optional>

#include "core/token_text.hpp"
#include "core/url_path.hpp"
#include "server/access/audit_notes.hpp"
#include "server/access/hidden.hpp"
#include "server/calls/browser_request.hpp"
#include "server/calls/call_reader.hpp"
#include "server/calls/error_answer.hpp"
#include "server/json_text.hpp"

namespace locker::server {
namespace {

/// A page that a browser visits, or loads because it guesses that it will be visited, must not
/// acquire a lock.
bool is_refused_browser_request(const Request& request, Response& response) {
  if (!is_sent_for_another_site(request)) return false;
  answer_legacy_error(403, another_site_sentence, response);
  return true;
}

/// Refuses all methods but GET, POST and, if the call changes nothing, HEAD.
bool is_refused_method(const Request& request, bool changes, Response& response) {
  if (request.method == Method::get || request.method == Method::post) return false;
  if (request.method == Method::head && !changes) return false;
  response.allow = changes ? "GET, POST" : "GET, HEAD, POST";
  answer_legacy_error(405, "Use GET or POST for this call.", response);
  return true;
}

/// If there is a fault, answers 400 and returns true.
bool is_refused(const CallReader& read, Response& response) {
  if (read.fault()) answer_legacy_error(400, read.fault()->message, response);
  return read.fault().has_value();
}

LockService::Blocker blocker_for(const Request& request) {
  LockService::Blocker blocker;  // no braces: they would zero two kilobytes
  blocker.wants_place = !may_read(request.caller, core::PathView{});
  return blocker;
}

/// Returns the owner to report, hidden if the caller may not read the path of the blocker. A
/// blocker that is itself waiting has no place and is always hidden from such a caller.
std::string_view owner_told(const LockService::Blocker& blocker, const Request& request) {
  if (!blocker.wants_place) return blocker.owner;
  return blocker.place && may_read(request.caller, *blocker.place) ? blocker.owner : hidden;
}

void refuse_busy(Response& response) {
  answer_legacy_error(
      503,
      "The journal is making room and accepts no changes at this moment; try again immediately.",
      response);
}

void refuse_disk_full(Response& response) {
  answer_legacy_error(507, "The lock server's disk is full; free disk space, or try again later.",
                      response);
}

}  // namespace

void answer_canhaz(LockService& service, const Request& request, Response& response) {
  if (is_refused_method(request, true, response)) return;
  if (is_refused_browser_request(request, response)) return;
  core::Path path;
  core::Shape shape;
  CallReader read{request};
  read.path(request.target.rest, path).parameters().only("id lockParents lockChildren");
  const std::string_view id = read.text("id");
  read.check([&] { return check_line("The id", id, core::owner_bytes_max); })
      .flag("lockParents", shape.lock_parents)
      .flag("lockChildren", shape.lock_children);
  if (is_refused(read, response)) return;

  LockService::Blocker blocker = blocker_for(request);
  const std::string_view owner = id == unknown_owner ? std::string_view{} : id;
  const auto asked = service.acquire_legacy(path, shape, owner, blocker);
  const LockService::LegacyAcquired& acquired = asked.answer;
  response.index = asked.index;
  switch (acquired.outcome) {
    case core::Outcome::granted:
      response.body = R"({"ok": true, "token": ")";
      core::append_token(acquired.token, response.body);
      response.body += "\"}";
      return note_grant(request, owner, acquired.fence, response);
    case core::Outcome::blocked:
      response.body = R"({"ok": false, "lockedBy": )";
      append_owner(owner_told(blocker, request), response.body);
      response.body += '}';
      return;
    case core::Outcome::too_many_locks:
    case core::Outcome::too_many_leases:
    case core::Outcome::too_much_memory:
      return answer_legacy_error(503, sentence_of_limit(acquired.outcome), response);
    case core::Outcome::disk_full:
      return refuse_disk_full(response);
    default:
      return refuse_busy(response);
  }
}

void answer_nowant(LockService& service, const Request& request, Response& response) {
  if (is_refused_method(request, true, response)) return;
  if (is_refused_browser_request(request, response)) return;
  core::Path path;
  CallReader read{request};
  read.path(request.target.rest, path).parameters().only("token");
  read.require(read.has("token"),
               "Add the token that canhaz returned: /nowant/<path>?token=<token>.");
  if (is_refused(read, response)) return;
  bool released = false;
  if (const auto token = core::parse_token(read.text("token"))) {
    using Outcome = core::ReleaseOutcome;
    const auto done = service.release_legacy(path, *token);
    response.index = done.index;
    if (done.answer.outcome == Outcome::busy) return refuse_busy(response);
    if (done.answer.outcome == Outcome::disk_full) return refuse_disk_full(response);
    released = done.answer.outcome == Outcome::released;
    if (released) note_release(request, done.answer.fence, response);
  }
  response.body = released ? R"({"ok": true})" : R"({"ok": false})";
}

void answer_dohaz(LockService& service, const Request& request, Response& response) {
  if (is_refused_method(request, false, response)) return;
  core::Path path;
  CallReader read{request};
  read.path(request.target.rest, path).parameters().only("");
  if (is_refused(read, response)) return;
  LockService::Blocker blocker = blocker_for(request);
  const auto queried = service.query(path, blocker);
  response.index = queried.index;
  response.body = R"({"lockedBy": )";
  if (queried.blocked) {
    append_owner(owner_told(blocker, request), response.body);
  } else {
    response.body += "null";
  }
  response.body += '}';
}

}  // namespace locker::server
