#include "server/calls/end_calls.hpp"

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "server/access/audit_notes.hpp"
#include "server/calls/browser_request.hpp"
#include "server/calls/call_kind.hpp"
#include "server/calls/call_reader.hpp"
#include "server/calls/error_answer.hpp"
#include "server/calls/lock_json.hpp"
#include "server/json_text.hpp"
#include "server/service/awaited_decision.hpp"

namespace locker::server {
namespace {

struct Force {
  core::ForceFilter filter;
  std::string reason;
  bool is_audited = false;
  std::vector<AuditedLock> ended;
};

void answer(Force& force, const core::Forced& forced, Index index, Response& response) {
  response.index = index;
  if (force.is_audited) {
    response.audit = note_of_force(force.filter, forced, std::move(force.ended), force.reason);
  }
  if (forced.outcome != core::Outcome::granted) {
    return answer_no_room(forced.outcome == core::Outcome::disk_full, response);
  }
  if (forced.count == 0) {
    return answer_error(404, "not_held",
                        "No lock matches, so none was ended; to end cooling locks add "
                        "cooling=true, to end waiting requests waiting=true.",
                        response);
  }
  response.body = R"({"ended": )" + std::to_string(forced.count) + "}";
}

/// A force that ends so many locks that the service serves other requests in between.
class LongForce final : public PendingAnswer {
 public:
  LongForce(LockService& service, Force force) : service_(service), force_(std::move(force)) {}
  /// If start() was never called, for example for lack of memory, the service must not report to
  /// this object later.
  ~LongForce() override {
    if (is_asked_ && !awaited_.is_started()) service_.forget(awaited_);
  }
  LongForce(const LongForce&) = delete;
  LongForce& operator=(const LongForce&) = delete;

  /// Returns the result, or none if the force is still running; this object must then stay alive.
  LockService::At<std::optional<core::Forced>> ask() {
    is_asked_ = true;
    return service_.force(force_.filter, force_.reason, force_.is_audited ? &force_.ended : nullptr,
                          awaited_);
  }
  [[nodiscard]] Force& force() { return force_; }

  void start(Waker& waker) override { awaited_.start(waker); }
  void finish(Response& response) override {
    const auto& forced = awaited_.decision();
    answer(force_, forced.answer, forced.index, response);
  }
  /// Returns nullopt: a force ends locks, and was permitted when it began.
  std::optional<Index> take_back(Response& /*response*/) override { return std::nullopt; }
  /// Returns false: a force runs to completion even if its client leaves, because nobody asked for
  /// half of it.
  bool abandon() override { return false; }

 private:
  LockService& service_;
  Force force_;
  bool is_asked_ = false;
  LockService::AwaitedForced awaited_;
};

/// Reads the parameters that all forces share.
void read_common(CallReader& read, Force& force) {
  core::ForceFilter& filter = force.filter;
  constexpr std::uint64_t fence_max = (std::uint64_t{1} << 53U) - 1;
  read.number("fence", 1, fence_max, filter.fence)
      .flag("cooling", filter.ends_cooling)
      .flag("waiting", filter.ends_waiting);
  force.reason = read.text("reason");
  read.require(!filter.ends_waiting || !filter.fence,
               "A waiting request has no fence; leave out waiting=true or the fence.")
      .check([&] { return check_line("The reason", force.reason, core::owner_bytes_max); });
}

void carry_out(LockService& service, Force force, const Request& request, Response& response) {
  force.is_audited = is_audited(request);
  auto pending = std::make_unique<LongForce>(service, std::move(force));
  const auto asked = pending->ask();
  if (asked.answer) return answer(pending->force(), *asked.answer, asked.index, response);
  response.pending = std::move(pending);
}

void release(LockService& service, const core::Path& path, const core::Token& token,
             const Request& request, Response& response) {
  const auto done = service.release(path, token);
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
                          "Another lease holds this path; use the token that its acquire returned.",
                          response);
    case Outcome::not_held:
      return answer_error(404, "not_held", "Nobody holds exactly this path.", response);
    case Outcome::busy:
    case Outcome::disk_full:
      return answer_no_room(done.answer.outcome == Outcome::disk_full, response);
  }
}

}  // namespace

void answer_release(LockService& service, const Request& request, Response& response) {
  if (refuse_another_site(request, response)) return;
  core::Path path;
  core::Token token;
  Force force;
  bool is_force = false;
  CallReader read{request};
  read.path(path_of_lock(request.target), path).parameters().flag("force", is_force);
  if (is_force) {
    response.call = CallKind::force;  // call_of() cannot tell it from the target
    force.filter.packed_path = path.view().packed();
    read.only("force fence cooling waiting reason");
    read_common(read, force);
  } else {
    read.only("token force").needed_token(token);
  }
  if (read.refused(response)) return;
  if (is_force) return carry_out(service, std::move(force), request, response);
  release(service, path, token, request, response);
}

void answer_force_many(LockService& service, const Request& request, Response& response) {
  if (refuse_another_site(request, response)) return;
  bool is_force = false;
  CallReader read{request};
  read.parameters().only("force prefix owner fence cooling waiting reason").flag("force", is_force);
  const bool is_narrowed = read.has("prefix") || read.has("fence");
  read.require(is_force,
               "To end many locks add force=true; to release your own, DELETE /v1/leases.")
      .require(is_narrowed || read.has("owner"), "Say which locks to end: prefix, owner or fence.");
  for (const std::string_view name : {"prefix", "owner"}) {
    // An empty value may come from an unset variable of a script.
    read.value(name, [&](std::string_view text) -> std::optional<core::Fault> {
      if (!text.empty()) return std::nullopt;
      return core::Fault{"Parameter '" + std::string{name} +
                         "' is empty; write prefix=/ to end everything, and fence=… for locks that "
                         "have no owner."};
    });
  }
  Force force;
  // Lists show "?" for a missing owner. A client that copied it from there meant one lock, not all
  // locks without an owner.
  read.require(is_narrowed || read.text("owner") != unknown_owner,
               "owner=? matches every client that named no owner; add prefix=… or fence=…")
      .prefix(force.filter.packed_prefix)
      .owner(force.filter.owner);
  read_common(read, force);
  if (read.refused(response)) return;
  carry_out(service, std::move(force), request, response);
}

}  // namespace locker::server
