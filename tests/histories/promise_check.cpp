#include <algorithm>
#include <limits>
#include <set>
#include <string>
#include <string_view>
#include <tuple>
#include <unordered_map>
#include <utility>
#include <vector>

#include "tests/histories/check.hpp"
#include "tests/histories/rules.hpp"

namespace locker::histories {
namespace {

constexpr Nanoseconds for_ever = std::numeric_limits<Nanoseconds>::max();
constexpr Nanoseconds millisecond = 1'000'000;

/// A lock that a client was told it has. It MUST be held from when the reply came until the client
/// does something that may end it, or its TTL has passed since the last renewal was sent. It MAY be
/// held from when it was first asked for, until a reply says that it is not.
struct Hold {
  const Operation* told = nullptr;
  Wanted lock;
  Fence fence = 0;  // canhaz tells none
  Nanoseconds must_from = 0;
  Nanoseconds must_until = 0;
  Nanoseconds may_from = 0;
  Nanoseconds may_until = for_ever;
};

class PromiseCheck {
 public:
  PromiseCheck(const History& history, Faults& faults)
      : history_(history), asked_(history), faults_(faults) {}

  void run() {
    find_holds();
    check_exclusion();
    check_fences();
    check_indexes();
    check_refusals();
  }

 private:
  void find_holds();
  void add_hold(const Operation& told, const Wanted& lock);
  [[nodiscard]] Nanoseconds counts_until(const Hold& hold) const;
  [[nodiscard]] Nanoseconds must_until(const Hold& hold) const;
  [[nodiscard]] Nanoseconds may_until(const Hold& hold) const;
  [[nodiscard]] bool may_end(const Operation& operation, const Hold& hold) const;
  void check_exclusion();
  void check_fences();
  void check_indexes();
  void check_refusals();

  const History& history_;
  const Asked asked_;
  Faults& faults_;
  std::vector<Hold> holds_;
  std::vector<const Operation*> forces_;
};

bool is_granted(const Operation& operation) {
  if (operation.kind == Kind::canhaz) return operation.reply.ok;
  return operation.is_acquire() && (operation.status == 200 || operation.status == 201);
}

void PromiseCheck::find_holds() {
  for (const Operation& operation : history_.operations) {
    if (operation.kind == Kind::force) forces_.push_back(&operation);
  }
  std::set<std::tuple<std::string_view, std::string, Fence>> seen;
  for (const Operation& operation : history_.operations) {
    if (!is_granted(operation)) continue;
    // The same grant told again adds nothing.
    const auto is_known = [&seen, &operation](const Wanted& lock) {
      return !seen.emplace(operation.owner, lock.path, operation.reply.fence).second;
    };
    if (operation.kind == Kind::canhaz) {
      const Wanted& lock = operation.wanted.front();
      if (!is_known(lock)) add_hold(operation, lock);
      continue;
    }
    for (const Listed& listed : operation.reply.locks) {
      const Wanted lock{listed.path, listed.shape};
      if (!is_known(lock)) add_hold(operation, lock);
    }
  }
}

void PromiseCheck::add_hold(const Operation& told, const Wanted& lock) {
  Hold hold;
  hold.told = &told;
  hold.lock = lock;
  hold.fence = told.reply.fence;
  hold.must_from = told.got;
  hold.may_from = told.sent;
  for (const Operation* other : asked_.about(told.owner)) {
    if (other->is_acquire()) hold.may_from = std::min(hold.may_from, other->sent);
  }
  hold.must_until = must_until(hold);
  hold.may_until = may_until(hold);
  holds_.push_back(hold);
}

/// Whether a request of the lease's own client, or of an administrator, can end the lock.
bool PromiseCheck::may_end(const Operation& operation, const Hold& hold) const {
  switch (operation.kind) {
    case Kind::release_all:
      return true;
    case Kind::release:
    case Kind::nowant:
      return operation.path() == hold.lock.path;
    case Kind::acquire:  // of another mode
      return operation.path() == hold.lock.path && operation.wanted.front() != hold.lock;
    case Kind::force: {
      const ForceFilter& filter = operation.filter;
      return (filter.path.empty() || filter.path == hold.lock.path) &&
             (filter.prefix.empty() || is_at_or_below(hold.lock.path, filter.prefix)) &&
             (filter.owner.empty() || filter.owner == hold.told->owner) &&
             (filter.fence == 0 || hold.fence == 0 || filter.fence == hold.fence);
    }
    default:
      return false;
  }
}

/// Until when its own client can count on it, if nobody else ends it.
Nanoseconds PromiseCheck::counts_until(const Hold& hold) const {
  const Operation& told = *hold.told;
  const bool by_canhaz = told.kind == Kind::canhaz;
  const std::int64_t ttl = by_canhaz ? history_.canhaz_ttl_ms : told.reply.ttl_ms;
  Nanoseconds until = ttl == 0 ? for_ever : told.sent + ttl * millisecond;
  for (const Operation* operation : asked_.about(told.owner)) {
    if (operation->is_answered() && operation->got < told.sent) continue;
    if (may_end(*operation, hold)) return std::min(until, operation->sent);
    if (operation->sent <= told.got) continue;
    const bool renews = operation->kind == Kind::renew || operation->is_acquire();
    if (!renews || until == for_ever) continue;
    if (operation->status == 200 || operation->status == 201) {
      const std::int64_t renewed = operation->reply.ttl_ms;
      until = renewed == 0 ? for_ever : operation->sent + renewed * millisecond;
    } else if (!operation->is_answered() && operation->ttl_ms &&
               *operation->ttl_ms != told.reply.ttl_ms) {
      // Perhaps it has another TTL now, and when it was read nobody knows.
      return std::min(until, operation->sent);
    }
  }
  return until;
}

Nanoseconds PromiseCheck::must_until(const Hold& hold) const {
  Nanoseconds until = counts_until(hold);
  for (const Operation* force : forces_) {
    const bool is_before = force->is_answered() && force->got < hold.told->sent;
    if (!is_before && may_end(*force, hold)) until = std::min(until, force->sent);
  }
  return until;
}

/// Whether the reply says that the lease has no lock here.
bool is_told_gone(const Operation& operation, std::string_view path) {
  switch (operation.kind) {
    case Kind::release:
      return operation.path() == path && (operation.status == 200 || operation.status == 410);
    case Kind::nowant:
      return operation.path() == path && operation.reply.ok;
    case Kind::release_all:
      return operation.status == 200 || operation.status == 410;
    default:
      return operation.status == 410;
  }
}

Nanoseconds PromiseCheck::may_until(const Hold& hold) const {
  const Operation& told = *hold.told;
  for (const Operation* operation : asked_.about(told.owner)) {
    if (operation->sent <= told.got || !operation->is_answered()) continue;
    if (!is_told_gone(*operation, hold.lock.path)) continue;
    // A lock with a lock-delay goes on blocking.
    if (told.lock_delay_ms == 0) return operation->got;
  }
  return for_ever;
}

bool can_be_held_together(const Hold& a, const Hold& b) {
  if (a.told->owner == b.told->owner) return true;
  const auto fits_behind = [](const Hold& first, const Hold& second) {
    if (second.told->kind == Kind::canhaz) {
      return !blocks(first.lock.path, first.lock.shape, second.lock.path);
    }
    return !clash(first.lock.path, first.lock.shape, second.lock.path, second.lock.shape);
  };
  // What canhaz is granted depends on who came first, which is not always known.
  return fits_behind(a, b) || fits_behind(b, a);
}

void PromiseCheck::check_exclusion() {
  std::vector<const Hold*> by_start;
  for (const Hold& hold : holds_) {
    if (hold.must_until > hold.must_from) by_start.push_back(&hold);
  }
  std::sort(by_start.begin(), by_start.end(),
            [](const Hold* a, const Hold* b) { return a->must_from < b->must_from; });
  std::vector<const Hold*> open;
  for (const Hold* hold : by_start) {
    std::erase_if(open, [&](const Hold* other) { return other->must_until <= hold->must_from; });
    for (const Hold* other : open) {
      if (can_be_held_together(*other, *hold)) continue;
      faults_.add(*hold->told, "it is granted while line " + std::to_string(other->told->line) +
                                   " holds " + other->lock.path);
    }
    open.push_back(hold);
  }
}

void PromiseCheck::check_fences() {
  struct Seen {
    Nanoseconds time = 0;
    bool is_known = false;  // else: it was asked for
    Fence fence = 0;
    const Operation* told = nullptr;
  };
  std::unordered_map<Fence, std::string_view> owners;
  std::vector<Seen> seen;
  for (const Hold& hold : holds_) {
    if (hold.fence == 0) continue;
    const auto [at, is_new] = owners.try_emplace(hold.fence, hold.told->owner);
    if (!is_new && at->second != hold.told->owner) {
      faults_.add(*hold.told, "its fence was given to " + std::string{at->second} + " too");
    }
    seen.push_back({hold.told->got, true, hold.fence, hold.told});
    if (hold.told->status == 201 && asked_.is_undisturbed(*hold.told)) {
      seen.push_back({hold.told->sent, false, hold.fence, hold.told});
    }
  }
  std::sort(seen.begin(), seen.end(), [](const Seen& a, const Seen& b) {
    return std::pair{a.time, a.is_known} < std::pair{b.time, b.is_known};
  });
  Fence highest = 0;
  for (const Seen& each : seen) {
    if (each.is_known) {
      highest = std::max(highest, each.fence);
    } else if (each.fence <= highest) {
      faults_.add(*each.told,
                  "its fence is not above " + std::to_string(highest) + ", which was known before");
    }
  }
}

void PromiseCheck::check_indexes() {
  const Timeline timeline{history_};
  for (const Operation& operation : history_.operations) {
    if (!is_decision(operation)) continue;
    const Index known = timeline.known_at(operation.sent);
    if (operation.index >= known) continue;
    faults_.add(operation, "it was decided at index " + std::to_string(operation.index) +
                               ", though " + std::to_string(known) + " was known before");
  }
}

/// What a lease has lost keeps its former holder out, too, while it cools; AnswerCheck looks at
/// which lock that is.
bool is_refused_by_own_cooling(const Operation& refused) {
  const auto& blocked_by = refused.reply.blocked_by;
  return std::any_of(blocked_by.begin(), blocked_by.end(), [&](const Listed& each) {
    return each.state == Listed::State::cooling && each.owner == refused.owner;
  });
}

/// Somebody who holds, or waits, or can have been granted without hearing of it.
struct Reason {
  Nanoseconds from = 0;
  Nanoseconds until = for_ever;
  std::string_view owner;
  std::vector<Wanted> locks;
  [[nodiscard]] bool explains(const Operation& refused) const {
    if (from > refused.got || until < refused.sent) return false;
    if (owner == refused.owner && !is_refused_by_own_cooling(refused)) return false;
    for (const Wanted& lock : locks) {
      for (const Wanted& wanted : refused.wanted) {
        if (clash(lock.path, lock.shape, wanted.path, wanted.shape)) return true;
      }
    }
    return false;
  }
};

void PromiseCheck::check_refusals() {
  std::vector<Reason> reasons;
  for (const Hold& hold : holds_) {
    reasons.push_back({hold.may_from, hold.may_until, hold.told->owner, {hold.lock}});
  }
  std::vector<const Operation*> refusals;
  for (const Operation& operation : history_.operations) {
    const bool asks = operation.kind == Kind::canhaz || operation.is_acquire();
    if (asks && (!operation.is_answered() || operation.wait_ms != 0)) {
      reasons.push_back({operation.sent, operation.is_answered() ? operation.got : for_ever,
                         operation.owner, operation.wanted});
    }
    const bool by_canhaz = operation.kind == Kind::canhaz && operation.status == 200;
    if (operation.status == 423 || (by_canhaz && !operation.reply.ok)) {
      refusals.push_back(&operation);
    }
  }
  std::sort(reasons.begin(), reasons.end(),
            [](const Reason& a, const Reason& b) { return a.from < b.from; });
  std::sort(refusals.begin(), refusals.end(),
            [](const auto* a, const auto* b) { return a->sent < b->sent; });
  std::vector<const Reason*> open;
  auto next = reasons.begin();
  for (const Operation* refused : refusals) {
    for (; next != reasons.end() && next->from <= refused->got; ++next) open.push_back(&*next);
    std::erase_if(open, [&](const Reason* reason) { return reason->until < refused->sent; });
    // The newest first: who is forgotten by everybody stands at the front.
    const bool is_explained = std::any_of(open.rbegin(), open.rend(), [&](const Reason* reason) {
      return reason->explains(*refused);
    });
    if (!is_explained) faults_.add(*refused, "nobody can be the reason of this refusal");
  }
}

}  // namespace

void check_promises(const History& history, Faults& faults) { PromiseCheck{history, faults}.run(); }

}  // namespace locker::histories
