#include "server/calls/force_call.hpp"

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "server/access/audited.hpp"
#include "server/calls/browser_request.hpp"
#include "server/calls/error_answer.hpp"
#include "server/service/awaited_decision.hpp"

namespace locker::server {
namespace {

struct Call {
  core::ForceFilter filter;
  std::string reason;
  bool is_audited = false;
  std::vector<AuditedLock> ended;
};

void answer(Call& call, const core::Forced& forced, Index index, Response& response) {
  response.index = index;
  if (call.is_audited) {
    response.audit = note_of_force(call.filter, forced, std::move(call.ended), call.reason);
  }
  if (forced.outcome != core::Outcome::granted) {
    return answer_no_room(forced.outcome == core::Outcome::disk_full, response);
  }
  if (forced.count == 0) {
    return answer_error(404, "not_held",
                        "No lock fits, so none was ended; one that cools needs cooling=true, a "
                        "request that waits waiting=true.",
                        response);
  }
  response.body = R"({"ended": )" + std::to_string(forced.count) + "}";
}

/// A force that ends so many locks that the service serves other requests in between.
class LongForce final : public PendingAnswer {
 public:
  LongForce(LockService& service, Call call) : service_(service), call_(std::move(call)) {}
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
    return service_.force(call_.filter, call_.reason, call_.is_audited ? &call_.ended : nullptr,
                          awaited_);
  }
  [[nodiscard]] Call& call() { return call_; }

  void start(Waker& waker) override { awaited_.start(waker); }
  void finish(Response& response) override {
    const auto& forced = awaited_.decision();
    answer(call_, forced.answer, forced.index, response);
  }
  /// Returns false: a force runs to completion even if its client leaves, because nobody asked for
  /// half of it.
  bool abandon() override { return false; }

 private:
  LockService& service_;
  Call call_;
  bool is_asked_ = false;
  LockService::AwaitedForced awaited_;
};

/// `read` has already read what `call` contains; this function reads the rest.
void carry_out(LockService& service, Call call, CallReader& read, const Request& request,
               Response& response) {
  core::ForceFilter& filter = call.filter;
  constexpr std::uint64_t fence_max = (std::uint64_t{1} << 53U) - 1;
  read.number("fence", 1, fence_max, filter.fence)
      .flag("cooling", filter.ends_cooling)
      .flag("waiting", filter.ends_waiting);
  call.reason = read.text("reason");
  read.require(!filter.ends_waiting || !filter.fence,
               "Who waits has no fence; leave out waiting=true, or the fence.")
      .check([&] { return check_line("The reason", call.reason, core::owner_bytes_max); });
  if (read.refused(response)) return;
  call.is_audited = is_audited(request);
  auto force = std::make_unique<LongForce>(service, std::move(call));
  const auto asked = force->ask();
  if (asked.answer) return answer(force->call(), *asked.answer, asked.index, response);
  response.pending = std::move(force);
}

}  // namespace

void answer_force_one(LockService& service, const core::Path& path, CallReader& read,
                      const Request& request, Response& response) {
  Call call;
  call.filter.packed_path = path.view().packed();
  read.only("force fence cooling waiting reason");
  carry_out(service, std::move(call), read, request, response);
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
  Call call;
  // Lists show "?" for a missing owner. A client that copied it from there meant one lock, not all
  // locks without an owner.
  read.require(is_narrowed || read.text("owner") != unknown_owner,
               "owner=? stands for all who named no owner; add prefix=… or fence=…")
      .prefix(call.filter.packed_prefix)
      .owner(call.filter.owner);
  carry_out(service, std::move(call), read, request, response);
}

}  // namespace locker::server
