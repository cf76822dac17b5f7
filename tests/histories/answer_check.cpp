// What all answers have in common, and those that only tell what is held.
#include "tests/histories/answer_check.hpp"

#include <algorithm>
#include <set>

#include "tests/histories/rules.hpp"

namespace locker::histories {
namespace {

/// The records of one command are looked at too: it ends no more locks than these at a time.
constexpr Index records_of_command_max = 1'000;
/// Longer than any client waits for an answer, with its requests sent again.
constexpr Nanoseconds waits_max = 30'000'000'000;

/// One answer in so many at most says that the journal makes room.
constexpr std::size_t busy_share = 4;

bool only_looks(Kind kind) {
  return kind == Kind::dohaz || kind == Kind::look || kind == Kind::look_at_lease;
}

/// What lists say of a lock, as text to compare.
std::string describe(const std::string& path, Fence fence, const std::string& owner,
                     const Shape& shape, bool is_cooling, bool has_flags, std::int64_t ttl_ms,
                     const std::string& meta) {
  std::string text = path + " fence " + std::to_string(fence) + " of " + owner +
                     (shape.is_shared ? ", shared" : ", exclusive") +
                     (is_cooling ? ", cooling" : "");
  if (!has_flags) return text;
  text += std::string{", "} + (shape.lock_parents ? "p" : "-") + (shape.lock_children ? "c" : "-");
  return text + ", TTL " + std::to_string(ttl_ms) + ", meta '" + meta + "'";
}

std::string first_missing(const std::set<std::string>& from, const std::set<std::string>& in) {
  for (const std::string& each : from) {
    if (!in.contains(each)) return each;
  }
  return {};
}

}  // namespace

AnswerCheck::AnswerCheck(const Evidence& evidence, const Asked& asked, const Timeline& timeline,
                         const LockModel& model, Faults& faults)
    : evidence_(evidence), asked_(asked), timeline_(timeline), model_(model), faults_(faults) {
  for (const Operation& operation : evidence.history.operations) {
    if (operation.is_acquire() && operation.wait_ms != 0) waiting_.push_back(&operation);
  }
  std::sort(waiting_.begin(), waiting_.end(),
            [](const auto* a, const auto* b) { return a->sent < b->sent; });
}

void AnswerCheck::run() {
  std::vector<const Operation*> decided;
  for (const Operation& operation : evidence_.history.operations) {
    if (is_decision(operation)) {
      decided.push_back(&operation);
    } else if (operation.is_answered()) {
      check_undecided(operation);
    }
  }
  const std::size_t answered = decided.size() + busy_;
  if (busy_ * busy_share > answered) {
    faults_.add(std::to_string(busy_) + " of " + std::to_string(answered) +
                " answers say that the journal makes room");
  }
  std::sort(decided.begin(), decided.end(),
            [](const auto* a, const auto* b) { return a->index < b->index; });
  auto next = model_.locks().begin();
  for (const Operation* operation : decided) {
    const Index index = operation->index;
    if (index > model_.last_index()) {
      faults_.add(*operation, "it was answered at index " + std::to_string(index) +
                                  ", but the journal ends at " +
                                  std::to_string(model_.last_index()));
      continue;
    }
    const Index possible = model_.first_possible(index);
    window_ = {std::min(index, std::max(possible, timeline_.known_at(operation->sent))), index};
    for (; next != model_.locks().end() && next->from <= index; ++next) near_.push_back(&*next);
    std::erase_if(near_, [possible](const Lock* lock) {
      return lock->until < possible && possible - lock->until > records_of_command_max;
    });
    check(*operation);
  }
}

/// These runs fill no disk, and end the server by kill -9: what is left is a journal that makes
/// room, and who only looks does not wait for that.
void AnswerCheck::check_undecided(const Operation& operation) {
  const std::string& error = operation.reply.error;
  const bool is_legacy = operation.kind == Kind::canhaz || operation.kind == Kind::nowant;
  const bool says_so = is_legacy ? error.find("making room") != std::string::npos : error == "busy";
  if (operation.status == 503 && says_so && !only_looks(operation.kind)) {
    ++busy_;
    return;
  }
  faults_.add(operation, "its status is " + std::to_string(operation.status) + ", error " + error);
}

void AnswerCheck::check(const Operation& operation) {
  switch (operation.status) {
    case 200:
    case 201:
      break;
    case 423:
      return check_refused(operation);
    case 409:
      return check_conflict(operation);
    case 403:
    case 404:
    case 410:
      if (operation.kind == Kind::release) return check_release(operation);
      if (operation.kind == Kind::force) return check_force(operation);
      if (operation.status == 410) return check_lease_ended(operation);
      return check_unknown_lease(operation);
    default:
      return faults_.add(operation, "its status is " + std::to_string(operation.status));
  }
  switch (operation.kind) {
    case Kind::canhaz:
      return check_canhaz(operation);
    case Kind::nowant:
      return check_nowant(operation);
    case Kind::dohaz:
      return check_dohaz(operation);
    case Kind::acquire:
    case Kind::several:
      return check_granted(operation);
    case Kind::release:
      return check_release(operation);
    case Kind::release_all:
      return check_release_all(operation);
    case Kind::renew:
      return check_renew(operation);
    case Kind::open_lease:
      return check_opened(operation);
    case Kind::look:
      return check_look(operation);
    case Kind::look_at_lease:
      return check_look_at_lease(operation);
    case Kind::force:
      return check_force(operation);
  }
}

bool AnswerCheck::is_in_some_state(const std::function<bool(Index)>& fits) const {
  for (Index at = window_.to;; --at) {
    if (model_.is_state(at) && fits(at)) return true;
    if (at == window_.from) return false;
  }
}

AnswerCheck::Locks AnswerCheck::locks_at(Index at,
                                         const std::function<bool(const Lock&)>& chosen) const {
  Locks locks;
  for (const Lock* lock : near_) {
    if (lock->is_there(at) && chosen(*lock)) locks.push_back(lock);
  }
  return locks;
}

bool AnswerCheck::is_own(const Lock& lock, const Operation& operation, Index at) const {
  return !lock.is_cooling(at) && lock.owner == operation.owner;
}

/// The nearest at or above the path, the path itself first; else the oldest below it.
const LockModel::Lock* AnswerCheck::covering(std::string_view path, Index at) const {
  const Lock* found = nullptr;
  std::size_t distance = 0;
  for (const Lock* lock : near_) {  // the oldest first
    if (!lock->is_there(at) || !blocks(lock->path, lock->shape, path)) continue;
    const std::size_t its =
        is_at_or_below(path, lock->path) ? path.size() - lock->path.size() : path.size() + 1;
    if (found != nullptr && its >= distance) continue;
    found = lock;
    distance = its;
  }
  return found;
}

const LockModel::Lock* AnswerCheck::held_by(std::string_view owner, std::string_view path,
                                            Index at) const {
  for (const std::size_t place : model_.locks_of(owner)) {
    const Lock& lock = model_.locks()[place];
    if (lock.path == path && lock.is_held(at)) return &lock;
  }
  return nullptr;
}

const LockModel::Lock* AnswerCheck::lost_by(std::string_view owner, std::string_view path,
                                            Index at) const {
  const Lock* last = nullptr;
  for (const std::size_t place : model_.locks_of(owner)) {
    const Lock& lock = model_.locks()[place];
    if (lock.path == path && lock.lost_at() <= at) last = &lock;
  }
  return last;
}

/// Whether the other request can have stood in the queue in this state.
bool AnswerCheck::can_wait(const Operation& other, const Operation& seen_by, Index at) const {
  if (!other.is_acquire() || other.wait_ms == 0 || other.sent > seen_by.got) return false;
  if (!other.is_answered()) return true;
  if (other.got < seen_by.sent) return false;
  if (other.status != 200 && other.status != 201) return other.index >= at;
  const auto& granted = model_.locks_with(other.reply.fence);
  return granted.empty() || model_.locks()[granted.front()].from > at;
}

/// Whether the listed one can have waited then, for what clashes with one of `wanted` (or for
/// whatever, if that is empty).
bool AnswerCheck::is_waiter(const Listed& waiter, const Operation& seen_by, Index at,
                            const std::vector<Wanted>& wanted) const {
  const auto& all = asked_.about(waiter.owner);
  return std::any_of(all.begin(), all.end(), [&](const Operation* other) {
    if (!can_wait(*other, seen_by, at)) return false;
    return std::any_of(other->wanted.begin(), other->wanted.end(), [&](const Wanted& its) {
      const auto clashes = [&its](const Wanted& each) {
        return clash(its.path, its.shape, each.path, each.shape);
      };
      return its.path == waiter.path && its.shape.is_shared == waiter.shape.is_shared &&
             (wanted.empty() || std::any_of(wanted.begin(), wanted.end(), clashes));
    });
  });
}

/// What a list has wrong, or leaves out; null: nothing. A lock may be listed twice.
std::optional<std::string> AnswerCheck::difference(const std::vector<Listed>& told,
                                                   const Locks& expected, Index at,
                                                   Listing listing) const {
  const bool has_flags = listing == Listing::whole;
  std::set<std::string> is_told;
  for (const Listed& each : told) {
    is_told.insert(describe(each.path, each.fence, each.owner, each.shape,
                            each.state == Listed::State::cooling, has_flags, each.ttl_ms,
                            each.meta));
  }
  std::set<std::string> is_there;
  for (const Lock* lock : expected) {
    const bool is_cooling = lock->is_cooling(at);
    const std::int64_t ttl = is_cooling ? 0 : model_.leases()[lock->lease].ttl_ms(at);
    is_there.insert(describe(lock->path, lock->fence, lock->owner, lock->shape, is_cooling,
                             has_flags, ttl, lock->meta));
    for (const Listed& each : told) {
      if (each.fence != lock->fence || each.path != lock->path) continue;
      const std::int64_t longest = is_cooling ? lock->lock_delay_ms : ttl;
      if (each.expires_in_ms.value_or(0) > longest) return each.path + " lasts longer than its TTL";
      if (each.expires_in_ms.has_value() != (longest != 0)) return each.path + " has another TTL";
    }
  }
  const std::string wrong = first_missing(is_told, is_there);
  if (!wrong.empty()) return "it tells of " + wrong + ", which is not so";
  if (listing == Listing::cut_short) return std::nullopt;
  const std::string missing = first_missing(is_there, is_told);
  if (!missing.empty()) return "it leaves out " + missing;
  return std::nullopt;
}

bool AnswerCheck::is_remembered(Index ended, const Operation& operation) const {
  Nanoseconds killed = 0;  // when it was started again is written down a little late
  for (const ServerEvent& event : evidence_.events) {
    if (event.kind == ServerEvent::Kind::killed) killed = event.at;
    const bool is_start = event.kind == ServerEvent::Kind::started;
    if (is_start && killed <= operation.got && event.index >= ended) return false;
  }
  return true;
}

void AnswerCheck::check_dohaz(const Operation& operation) {
  const Lock* const lock = covering(operation.path(), operation.index);
  const auto& told = operation.reply.locked_by;
  if (lock == nullptr ? !told : told == lock->owner) return;
  faults_.add(operation, "it tells of " + told.value_or("nobody") + " and should of " +
                             (lock == nullptr ? "nobody" : lock->owner));
}

void AnswerCheck::check_look(const Operation& operation) {
  const std::string& path = operation.path();
  const Reply& reply = operation.reply;
  const Index at = operation.index;
  const auto is_in_the_way = [&](const Lock& lock) {
    return clash(lock.path, lock.shape, path, {});
  };
  const Locks holders =
      locks_at(at, [&](const Lock& lock) { return lock.path == path && is_in_the_way(lock); });
  const Locks covering =
      locks_at(at, [&](const Lock& lock) { return lock.path != path && is_in_the_way(lock); });
  constexpr std::size_t listed_max = 100;
  const bool is_cut = reply.holders.size() + reply.covered_by.size() >= listed_max;
  const Listing listing = is_cut ? Listing::cut_short : Listing::whole;
  auto wrong = difference(reply.holders, holders, at, listing);
  if (!wrong) wrong = difference(reply.covered_by, covering, at, listing);
  if (wrong) return faults_.add(operation, *wrong);

  for (const Listed& waiter : reply.waiters) {
    if (waiter.path == path && is_waiter(waiter, operation, at, {})) continue;
    return faults_.add(operation, waiter.owner + " cannot wait there");
  }
  const bool is_whole = reply.waiters.size() == std::min(reply.waiter_count, listed_max);
  if (!is_whole) faults_.add(operation, "it counts other waiters than it lists");
  const bool is_held = !holders.empty() || !covering.empty();
  if (reply.is_free ? is_held || reply.waiter_count != 0 : !is_held && !is_awaited(operation, at)) {
    faults_.add(operation, reply.is_free ? "it is not free" : "it is free");
  }
}

/// Whether somebody can wait for what clashes with an exclusive lock there.
bool AnswerCheck::is_awaited(const Operation& operation, Index at) const {
  auto other =
      std::upper_bound(waiting_.begin(), waiting_.end(), operation.got,
                       [](Nanoseconds time, const Operation* each) { return time < each->sent; });
  while (other != waiting_.begin()) {
    --other;
    if ((*other)->sent + waits_max < operation.sent) return false;
    if (!can_wait(**other, operation, at)) continue;
    for (const Wanted& wanted : (*other)->wanted) {
      if (clash(wanted.path, wanted.shape, operation.path(), {})) return true;
    }
  }
  return false;
}

void AnswerCheck::check_look_at_lease(const Operation& operation) {
  const Index at = operation.index;
  const Lease* const lease = model_.living_lease(operation.owner, at);
  if (lease == nullptr) return faults_.add(operation, "there is no such lease");
  const Locks held = locks_at(at, [&](const Lock& lock) { return is_own(lock, operation, at); });
  if (const auto wrong = difference(operation.reply.locks, held, at, Listing::whole)) {
    faults_.add(operation, *wrong);
  }
  if (operation.reply.owner != lease->owner || operation.reply.ttl_ms != lease->ttl_ms(at)) {
    faults_.add(operation, "owner or TTL are not the lease's");
  }
}

void check_answers(const Evidence& evidence, const Asked& asked, const Timeline& timeline,
                   const LockModel& model, Faults& faults) {
  AnswerCheck{evidence, asked, timeline, model, faults}.run();
}

}  // namespace locker::histories
