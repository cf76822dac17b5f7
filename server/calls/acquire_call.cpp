#include "server/calls/acquire_call.hpp"

#include <algorithm>
#include <memory>
#include <utility>

#include "core/token_text.hpp"
#include "core/url_path.hpp"
#include "server/access/caller.hpp"
#include "server/access/hidden.hpp"
#include "server/calls/browser_request.hpp"
#include "server/calls/call_kind.hpp"
#include "server/calls/call_reader.hpp"
#include "server/calls/error_answer.hpp"
#include "server/calls/lock_json.hpp"
#include "server/calls/several_locks.hpp"
#include "server/calls/take_back.hpp"
#include "server/json_text.hpp"
#include "server/service/awaited_decision.hpp"

namespace locker::server {
namespace {

using core::Acquired;
using core::Outcome;

constexpr std::chrono::hours wait_max{24};
constexpr std::chrono::hours lock_delay_max{1};

struct Call {
  core::AcquireCommand command;
  bool is_several = false;
  Caller caller = {};  // a copy: a queued call outlives its request
};

void append_granted(const Call& call, const Acquired& acquired, std::string& body) {
  body += '{';
  if (!call.is_several) {
    body += R"("path": )";
    append_path(acquired.locks.front().packed_path, body);
    body += ", ";
  }
  body += R"("token": ")";
  core::append_token(acquired.token, body);
  body += R"(", "owner": )";
  append_owner(acquired.owner, body);
  body += R"(, "fence": )";
  append_number(acquired.fence, body);
  body += ", ";
  if (call.is_several) {
    body += R"("locks": [)";
    for (const auto& lock : acquired.locks) {
      if (&lock != &acquired.locks.front()) body += ", ";
      body += R"({"path": )";
      append_path(lock.packed_path, body);
      body += ", ";
      append_shape(lock.shape, body);
      body += '}';
    }
    body += "], ";
  } else {
    append_shape(acquired.locks.front().shape, body);
    body += ", ";
  }
  append_ttl(acquired.ttl, body);
  body += R"(, "waited_ms": )";
  append_milliseconds(acquired.waited, body);
  body += '}';
}

void answer_blocked(const Acquired& acquired, const core::Now& now, Response& response) {
  std::string sentence = "Another client is in the way";
  if (!acquired.blocked_by.empty()) {
    const core::LockInfo& first = acquired.blocked_by.front();
    std::string path;
    core::append_url_path(core::PathView{first.packed_path}, path);
    sentence = path + (first.state == core::LockInfo::State::waiting ? " has an earlier waiter: "
                       : first.state == core::LockInfo::State::cooling
                           ? " is cooling after it was lost by "
                           : " is held by ");
    sentence += first.owner.empty() ? "an unknown owner" : first.owner;
  }
  sentence += acquired.waited > core::Duration{}
                  ? "; try again later, or wait longer."
                  : "; try again later, or add wait=30s to wait in line.";
  begin_error(423, "locked", sentence, response);
  response.body += R"(, "blocked_by": )";
  append_blockers(acquired.blocked_by, now, response.body);
  response.body += R"(, "waited_ms": )";
  append_milliseconds(acquired.waited, response.body);
  response.body += '}';
}

void answer_deadlock(const Acquired& acquired, Response& response) {
  const core::CycleStep& last = acquired.cycle.back();
  std::string path;
  core::append_url_path(core::PathView{last.blocked_by}, path);
  begin_error(409, "deadlock",
              "Waiting would deadlock: the clients in the way wait for this lease, which " +
                  (last.fence != 0
                       ? "holds " + path + ". Release that path, then try again."
                       : "is waiting for " + path + " itself. End that request, then try again."),
              response);
  response.body += R"(, "cycle": [)";
  for (const core::CycleStep& step : acquired.cycle) {
    if (&step != &acquired.cycle.front()) response.body += ", ";
    response.body += R"({"owner": )";
    append_owner(step.owner, response.body);
    response.body += R"(, "waits_for": )";
    append_path(step.waits_for, response.body);
    response.body += R"(, "blocked_by": {"path": )";
    append_path(step.blocked_by, response.body);
    response.body += R"(, "fence": )";
    append_number_or_null(step.fence, response.body);
    response.body += "}}";
  }
  response.body += "]}";
}

void answer(const Call& call, const Acquired& acquired, const core::Now& now, Response& response) {
  switch (acquired.outcome) {
    case Outcome::granted:
      response.status = 201;
      return append_granted(call, acquired, response.body);
    case Outcome::held_already:
      return append_granted(call, acquired, response.body);
    case Outcome::blocked:
      return answer_blocked(acquired, now, response);
    case Outcome::deadlock:
      return answer_deadlock(acquired, response);
    case Outcome::token_in_use:
      return answer_token_in_use(*acquired.in_use, response);
    case Outcome::lease_ended:
      return answer_lease_ended(*acquired.ended, response);
    case Outcome::too_many_locks:
    case Outcome::too_many_leases:
    case Outcome::too_much_memory:
      return answer_limit(acquired.outcome, response);
    case Outcome::too_many_waiters:
      return answer_error(503, "too_many_waiters",
                          "Too many requests are waiting on this server (--waiters-max, "
                          "a part of --connections-max, or 1 GiB of memory); try again later.",
                          response);
    case Outcome::too_many_waiters_of_lease:
      return answer_error(
          429, "too_many_waiters",
          "Too many requests of this lease are waiting; wait until one is answered.", response);
    case Outcome::too_many_locks_of_lease:
      return answer_error(429, "too_many_locks_of_lease",
                          "This lease has the maximum number of locks; release some first.",
                          response);
    case Outcome::disk_full:
      return answer_no_room(true, response);
    case Outcome::superseded:
      return answer_error(409, "superseded",
                          "The same request arrived again on another connection, which now has "
                          "this place in the queue.",
                          response);
    case Outcome::busy:
    case Outcome::queued:
      break;
  }
  answer_no_room(false, response);
}

std::unique_ptr<AuditNote> note_of(const Acquired& acquired) {
  auto note = std::make_unique<AuditNote>();
  note->outcome = AuditOutcome::granted;
  for (const auto& lock : acquired.locks) note->packed_paths.push_back(lock.packed_path);
  note->owner = acquired.owner;
  note->fence = acquired.fence;
  return note;
}

/// Whether the token is known only from the answer: the lease is new and the server chose its
/// token. If the answer is not delivered, the grant must be taken back.
bool has_to_be_told(const Call& call, const Acquired& acquired) {
  return acquired.outcome == Outcome::granted && acquired.lease_is_fresh && !call.command.token;
}

void finish(LockService& service, const Call& call, Acquired& acquired, Index index,
            const core::Now& now, Response& response) {
  // First, so that the grant is also taken back if memory runs out below.
  if (has_to_be_told(call, acquired)) {
    response.delivery = take_back_unless_delivered(service, acquired.token);
  }
  hide_unreadable(&call.caller, acquired.blocked_by);
  hide_unreadable(&call.caller, acquired.cycle);
  // in_use needs no hiding: it names a path that the caller asked to lock and therefore may read.
  answer(call, acquired, now, response);
  if (call.caller.is_audited && acquired.outcome == Outcome::granted) {
    response.audit = note_of(acquired);
  }
  response.index = index;
}

/// A queued request. The thread that removes what blocks it also decides it.
class Queued final : public PendingAnswer {
 public:
  Queued(LockService& service, Call call) : service_(service), call_(std::move(call)) {}
  /// If start() was never called, for example for lack of memory, the service must not report to
  /// this object later, and a grant whose token the client does not know is taken back.
  ~Queued() override {
    if (waiter_ == 0 || awaited_.is_started() || leave_queue()) return;
    const Acquired& acquired = awaited_.decision().answer;
    if (has_to_be_told(call_, acquired)) service_.take_back(acquired.token);
  }
  Queued(const Queued&) = delete;
  Queued& operator=(const Queued&) = delete;

  /// Returns the answer, or nothing if the request was queued; this object must then stay alive.
  std::optional<LockService::At<Acquired>> ask() {
    auto asked = service_.acquire(call_.command, &awaited_);
    if (asked.answer.outcome != Outcome::queued) return asked;
    waiter_ = asked.answer.waiter;
    return std::nullopt;
  }
  [[nodiscard]] const Call& call() const { return call_; }

  void start(Waker& waker) override { awaited_.start(waker); }
  void set_caller(const Caller& caller) override { call_.caller = caller; }
  void finish(Response& response) override {
    auto& [acquired, index, now] = awaited_.decision();
    server::finish(service_, call_, acquired, index, now, response);
  }
  std::optional<Index> take_back(Response& response) override {
    const Acquired& acquired = awaited_.decision().answer;
    Index index = response.index;
    if (acquired.outcome != Outcome::granted) return index;
    if (response.delivery) {
      response.delivery.reset();
      return service_.status().index;
    }
    for (const auto& lock : acquired.locks) {
      const core::Path path{core::PathView{lock.packed_path}};
      index = std::max(index, service_.take_back(acquired.token, path));
    }
    return index;
  }
  bool abandon() override { return leave_queue(); }

 private:
  /// Returns false if the request has already been decided.
  bool leave_queue() {
    if (!service_.abandon(waiter_)) return false;
    waiter_ = 0;
    return true;
  }

  LockService& service_;
  Call call_;
  core::WaiterId waiter_ = 0;
  LockService::AwaitedAcquired awaited_;
};

void carry_out(LockService& service, Call call, Response& response) {
  auto queued = std::make_unique<Queued>(service, std::move(call));
  auto asked = queued->ask();
  if (asked) {
    return finish(service, queued->call(), asked->answer, asked->index, asked->now, response);
  }
  response.pending = std::move(queued);
}

/// Whether the client has closed its connection. Checked only if the request could take over the
/// place of a queued one (it has a token and a wait), because the check is a system call.
bool client_has_left(const Request& request, const core::AcquireCommand& command) {
  return command.token && command.wait > core::Duration{} && request.connection != nullptr &&
         request.connection->has_left();
}

/// Reads the parameters that both acquire calls share.
void read_common(CallReader& read, const Request& request, const LockService& service,
                 core::AcquireCommand& command) {
  core::Duration lock_delay{};
  read.owner(command.owner)
      .meta(command.meta)
      .ttl(service.options().max_ttl, command.ttl)
      .token(command.token)
      .duration("wait", {}, wait_max, command.wait)
      .duration("lock_delay", {}, lock_delay_max, lock_delay);
  command.lock_delay = std::chrono::duration_cast<core::Milliseconds>(lock_delay);
  command.client_has_left = !read.fault() && client_has_left(request, command);
}

}  // namespace

void answer_acquire(LockService& service, const Request& request, Response& response) {
  if (refuse_another_site(request, response)) return;
  Call call;
  core::Path path;
  core::Shape shape;
  CallReader read{request};
  read.path(path_of_lock(request.target), path)
      .parameters()
      .only("owner ttl wait mode lock_parents lock_children token meta lock_delay")
      .shape(shape);
  read_common(read, request, service, call.command);
  if (read.refused(response)) return;
  if (request.caller != nullptr) call.caller = *request.caller;
  call.command.wanted.push_back({std::string{path.view().packed()}, shape});
  carry_out(service, std::move(call), response);
}

void answer_acquire_several(LockService& service, const Request& request, Response& response) {
  if (refuse_another_site(request, response)) return;
  Call call;
  call.is_several = true;
  SeveralLocks several;
  CallReader read{request};
  read.require(request.target.query.empty(),
               R"(Put everything into the JSON body: {"locks": [{"path": "/a"}], …}.)")
      .check([&] { return read_several_locks(request, several); })
      .parameters(several.parameters)
      .only("owner ttl wait token meta lock_delay");
  read_common(read, request, service, call.command);
  if (read.refused(response)) return;
  if (request.caller != nullptr) call.caller = *request.caller;
  call.command.wanted = std::move(several.wanted);
  call.command.any = several.any;
  carry_out(service, std::move(call), response);
}

}  // namespace locker::server
