#include "server/calls/terraform.hpp"

#include <cstring>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <boost/json.hpp>
#include <boost/uuid/name_generator_sha1.hpp>

#include "core/token_text.hpp"
#include "core/url_path.hpp"
#include "server/access/audit_notes.hpp"
#include "server/access/hidden.hpp"
#include "server/calls/browser_request.hpp"
#include "server/calls/call_reader.hpp"
#include "server/calls/error_answer.hpp"
#include "server/calls/json_body.hpp"

namespace locker::server {
namespace {

using core::Fault;

/// Returns the ID as a token. An ID that is not a UUID is hashed into one (version 5, RFC 9562).
core::Token token_of(const std::string& id) {
  if (const auto token = core::parse_token(id)) return *token;
  boost::uuids::name_generator_sha1 generate{boost::uuids::ns::oid()};
  const boost::uuids::uuid made = generate(id);
  core::Token token;
  std::memcpy(token.bytes.data(), made.data, sizeof token.bytes);
  return token;
}

std::optional<Fault> read_info(const Request& request, std::string& id, std::string& who) {
  if (request.body.size() > core::meta_bytes_max) {
    return Fault{"The lock info is longer than 4096 bytes."};
  }
  boost::json::object info;
  if (auto fault = read_json_object(request, info)) return fault;
  const auto text = [&info](std::string_view name) {
    const boost::json::value* const value = info.if_contains(name);
    return value != nullptr && value->is_string() ? std::string{value->get_string()} : "";
  };
  id = text("ID");
  who = text("Who");
  if (who == unknown_owner || check_line("Who", who, core::owner_bytes_max)) who = "";
  if (id.empty()) return Fault{"The lock info has no ID."};
  return std::nullopt;
}

/// Whether Terraform acquired the lock; its meta is then the lock info.
bool is_terraforms(const core::LockInfo& holder) {
  boost::system::error_code error;
  const boost::json::value meta = boost::json::parse(holder.meta, error);
  return !error && meta.is_object() && meta.get_object().contains("ID");
}

/// The ID and Info shown to Terraform for a blocker that is not a lock held by Terraform.
struct MadeUp {
  std::string id;
  std::string_view info;
};

MadeUp made_up_for(const core::LockInfo& blocker, const std::string& owner) {
  const std::string fence = ", fence " + std::to_string(blocker.fence);
  switch (blocker.state) {
    case core::LockInfo::State::waiting:
      return {"waited for by " + owner, "another client waits for it and is ahead in the queue"};
    case core::LockInfo::State::cooling:
      return {"cooling, was held by " + owner + fence,
              "its holder was lost; it stays closed for its lock delay"};
    case core::LockInfo::State::held:
      break;
  }
  return {"held by " + owner + fence, "held outside of Terraform"};
}

/// Returns the holder's lock info as it was sent. If the blocker was not acquired by Terraform, or
/// is not held, the info is made up; Terraform prints only the ID of that.
std::string info_of(const core::LockInfo& blocker) {
  if (blocker.state == core::LockInfo::State::held && is_terraforms(blocker)) return blocker.meta;
  const std::string owner = blocker.owner.empty() ? "?" : blocker.owner;
  std::string path;
  core::append_url_path(core::PathView{blocker.packed_path}, path);
  const MadeUp made_up = made_up_for(blocker, owner);
  return boost::json::serialize(boost::json::object{{"ID", made_up.id},
                                                    {"Who", owner},
                                                    {"Operation", "lock"},
                                                    {"Info", made_up.info},
                                                    {"Path", path}});
}

void answer_held(const std::vector<core::LockInfo>& blockers, Response& response) {
  response.status = 423;
  response.body = blockers.empty() ? "{}" : info_of(blockers.front());
}

/// Answers with the current holder. Looks it up anew, so it may report a later grant than the one
/// the request met; the answer waits until that grant is on disk.
void answer_held_now(LockService& service, const core::Path& path, Response& response) {
  const auto looked = service.look_at(path);
  response.index = looked.index;
  answer_held(looked.answer.holders, response);
}

void take(LockService& service, const core::Path& path, const std::string& id,
          const std::string& who, const Request& request, Response& response) {
  core::AcquireCommand command;
  command.wanted.push_back({std::string{path.view().packed()}, {}});
  command.token = token_of(id);
  command.owner = who;
  command.ttl = core::Milliseconds{0};  // Terraform sends no heartbeat
  command.meta = request.body;
  auto asked = service.acquire(command);
  hide_unreadable(request.caller, asked.answer.blocked_by);
  response.index = asked.index;
  switch (asked.answer.outcome) {
    case core::Outcome::granted:
      note_grant(request, asked.answer.owner, asked.answer.fence, response);
      [[fallthrough]];
    case core::Outcome::held_already:
      response.body = request.body;
      return;
    case core::Outcome::blocked:
      return answer_held(asked.answer.blocked_by, response);
    case core::Outcome::token_in_use:
      return answer_held_now(service, path, response);
    case core::Outcome::lease_ended:
      return answer_lease_ended(*asked.answer.ended, response);
    case core::Outcome::too_many_locks:
    case core::Outcome::too_many_leases:
    case core::Outcome::too_much_memory:
      return answer_limit(asked.answer.outcome, response);
    case core::Outcome::busy:
    case core::Outcome::disk_full:
      return answer_no_room(asked.answer.outcome == core::Outcome::disk_full, response);
    default:
      return answer_error(503, "busy",
                          "The lock server accepts no more locks at the moment; try again later.",
                          response);
  }
}

void give_back(LockService& service, const core::Path& path, const std::string& id,
               const Request& request, Response& response) {
  using Outcome = core::ReleaseOutcome;
  const auto done = service.release(path, token_of(id));
  response.index = done.index;
  switch (done.answer.outcome) {
    case Outcome::released:
    case Outcome::left:
    case Outcome::released_before:
      response.body = "{}";
      if (done.answer.outcome == Outcome::released) {
        note_release(request, done.answer.fence, response);
      }
      return;
    case Outcome::wrong_token:
      return answer_held_now(service, path, response);
    case Outcome::lease_ended:
      return answer_lease_ended(*done.answer.ended, response);
    case Outcome::not_held:
      return answer_error(404, "not_held", "Nobody holds this path.", response);
    case Outcome::busy:
    case Outcome::disk_full:
      return answer_no_room(done.answer.outcome == Outcome::disk_full, response);
  }
}

/// Serves `terraform force-unlock`, which sends no lock info. Ends only a lock that Terraform holds
/// at this path.
void force(LockService& service, const core::Path& path, const Request& request,
           Response& response) {
  const std::string reason = "terraform force-unlock";
  const auto looked = service.look_at(path);
  response.index = looked.index;
  const auto& holders = looked.answer.holders;
  if (!holders.empty() && !is_terraforms(holders.front())) return answer_held(holders, response);
  core::ForceFilter filter;
  filter.packed_path = path.view().packed();
  filter.ends_cooling = true;  // otherwise nothing could end a cooling lock here
  core::Forced forced;
  std::vector<AuditedLock> ended;
  if (!holders.empty()) {
    filter.owner = holders.front().owner;
    filter.fence = holders.front().fence;
    const auto done = service.force(filter, reason, is_audited(request) ? &ended : nullptr);
    response.index = done.index;
    forced = done.answer;
  }
  if (is_audited(request)) {
    response.audit = note_of_force(filter, forced, std::move(ended), reason);
  }
  if (holders.empty()) return answer_error(404, "not_held", "Nobody holds this path.", response);
  if (forced.outcome != core::Outcome::granted) {
    return answer_no_room(forced.outcome == core::Outcome::disk_full, response);
  }
  if (forced.count == 0) {
    return answer_error(404, "not_held", "The lock at this path has ended in the meantime.",
                        response);
  }
  response.body = "{}";
}

}  // namespace

std::optional<Fault> read_terraform_token(const Request& request, core::Token& token) {
  std::string id;
  std::string who;
  auto fault = read_info(request, id, who);
  if (!fault) token = token_of(id);
  return fault;
}

void answer_terraform(LockService& service, const Request& request, Response& response) {
  if (request.method != Method::lock && request.method != Method::unlock) {
    return answer_wrong_method("LOCK, UNLOCK",
                               "Use LOCK or UNLOCK here: these are Terraform's lock_address and "
                               "unlock_address.",
                               response);
  }
  if (refuse_another_site(request, response)) return;
  core::Path path;
  std::string id;
  std::string who;
  CallReader read{request};
  read.path(request.target.rest, path);
  // An incomplete address must not lock everything.
  read.require(request.method != Method::lock || !path.view().is_root(),
               "Name what to lock: /terraform/<path>.")
      .require(request.target.query.empty(), "This call takes no parameters in the query.");
  const bool is_forced = request.method == Method::unlock && request.body.empty();
  if (!is_forced) read.check([&] { return read_info(request, id, who); });
  if (read.refused(response)) return;
  if (is_forced) return force(service, path, request, response);
  if (request.method == Method::lock) return take(service, path, id, who, request, response);
  give_back(service, path, id, request, response);
}

}  // namespace locker::server
