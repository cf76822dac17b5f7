#include "server/calls/force_call.hpp"

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/url_path.hpp"
#include "server/access/audited.hpp"
#include "server/awaited_decision.hpp"
#include "server/calls/call_parameters.hpp"
#include "server/calls/error_answer.hpp"

namespace locker::server {
namespace {

using core::Fault;

struct Call {
  core::ForceFilter filter;
  std::string reason;
  bool is_audited = false;
  std::vector<AuditedLock> ended;
};

std::optional<Fault> read_call(std::string_view path_text, const Parameters& parameters,
                               Call& call) {
  core::ForceFilter& filter = call.filter;
  std::optional<Fault> fault;
  if (!path_text.empty()) {
    core::Path path;
    fault = core::parse_url_path(path_text, path);
    filter.packed_path = path.view().packed();
  }
  if (!fault) fault = read_prefix(parameters, filter.packed_prefix);
  if (!fault) fault = read_owner(parameters, filter.owner);
  std::optional<std::uint64_t> fence;
  constexpr std::uint64_t fence_max = (std::uint64_t{1} << 53U) - 1;
  if (!fault) fault = read_number(parameters, "fence", 1, fence_max, fence);
  filter.fence = fence;
  if (!fault) fault = parameters.read_flag("cooling", filter.ends_cooling);
  if (!fault) fault = parameters.read_flag("waiting", filter.ends_waiting);
  if (!fault && filter.ends_waiting && filter.fence) {
    fault = Fault{"Who waits has no fence; leave out waiting=true, or the fence."};
  }
  if (const std::string_view* const text = parameters.find("reason")) call.reason = *text;
  if (!fault) fault = check_line("The reason", call.reason, core::owner_bytes_max);
  return fault;
}

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

/// One that ends so much that others have their turn in between.
class LongForce final : public PendingAnswer {
 public:
  LongForce(LockService& service, Call call) : service_(service), call_(std::move(call)) {}
  /// Who was not begun to wait for, as when there is no memory for it, must not be told later.
  ~LongForce() override {
    if (is_asked_ && !awaited_.is_started()) service_.forget(awaited_);
  }
  LongForce(const LongForce&) = delete;
  LongForce& operator=(const LongForce&) = delete;

  /// What it did; none when it goes on, and this has to live.
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
  /// It goes on to its end, whoever wants to know: half of it is nothing that anybody asked for.
  bool abandon() override { return false; }

 private:
  LockService& service_;
  Call call_;
  bool is_asked_ = false;
  LockService::AwaitedForced awaited_;
};

}  // namespace

void answer_force(LockService& service, std::string_view path_text, const Parameters& parameters,
                  const Request& request, Response& response) {
  Call call;
  if (const auto fault = read_call(path_text, parameters, call)) {
    return answer_fault(*fault, response);
  }
  call.is_audited = is_audited(request);
  auto force = std::make_unique<LongForce>(service, std::move(call));
  const auto asked = force->ask();
  if (asked.answer) return answer(force->call(), *asked.answer, asked.index, response);
  response.pending = std::move(force);
}

}  // namespace locker::server
