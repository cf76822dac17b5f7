#include "tests/core/oracle_arbiter.hpp"

#include <algorithm>
#include <iterator>
#include <set>
#include <utility>

#include "tests/core/oracle_rules.hpp"

namespace locker::core {
namespace {

// The numbers of the documents are repeated here, so that a different one in the code is found.
constexpr Duration place_kept = std::chrono::seconds{15};
constexpr std::size_t blockers_named_max = 16;

bool clash(const Wanted& a, const Wanted& b) {
  return oracle::clash(a.path(), a.shape, b.path(), b.shape);
}

bool clash(const OracleArbiter::Lock& lock, const Wanted& wanted) {
  return oracle::clash(PathView{lock.packed_path}, lock.shape, wanted.path(), wanted.shape);
}

bool clash(const OracleArbiter::Request& request, const Wanted& wanted) {
  return std::any_of(request.wanted.begin(), request.wanted.end(),
                     [&](const auto& its) { return clash(its, wanted); });
}

std::size_t needed(const OracleArbiter::Request& request) {
  return request.any == 0 ? request.wanted.size() : request.any;
}

/// The most bytes of the journal that the grant takes.
std::size_t bytes_for(const OracleArbiter::Request& request) {
  std::size_t all = 0;
  std::size_t longest = 0;
  for (const auto& wanted : request.wanted) {
    all += wanted.packed_path.size();
    longest = std::max(longest, wanted.packed_path.size());
  }
  std::size_t bytes = 64 + std::min(all, needed(request) * longest);
  for (std::size_t i = 0; i < needed(request); ++i) {
    bytes += 2 * record_head_bytes + grant_fields_bytes + owner_bytes_max + request.meta.size();
  }
  return bytes;
}

/// Zero is no TTL, which outlasts any.
bool outlasts(Milliseconds ttl, Milliseconds other) {
  if (other.count() == 0) return false;
  return ttl.count() == 0 || ttl > other;
}

/// Whether a repeated request is the same; parameters that it leaves out do not count.
bool agrees(const OracleArbiter::Request& asked, Milliseconds lock_delay, const std::string& meta) {
  return (asked.lock_delay.count() == 0 || asked.lock_delay == lock_delay) &&
         (asked.meta.empty() || asked.meta == meta);
}

bool is_of_another(const OracleArbiter::Request& other, const OracleArbiter::Request& asked) {
  return asked.asked_owner && !other.owner.empty() && other.owner != *asked.asked_owner;
}

bool refuse_without_room(const OracleArbiter::Rooms& rooms, Released& released) {
  if (rooms.ends == Room::enough) return false;
  released.outcome = rooms.ends == Room::soon ? ReleaseOutcome::busy : ReleaseOutcome::disk_full;
  return true;
}

/// The answer to a release of what the token released before, or lost in another way.
Released released_before(const OracleArbiter::Ended& ended) {
  Released released;
  released.outcome =
      ended.reason == End::released ? ReleaseOutcome::released_before : ReleaseOutcome::lease_ended;
  released.ended = EndedMemory::Ended{ended.reason, ended.fence, ended.detail};
  return released;
}

/// Whether a repeated request is the one that waits.
bool is_same_request(const OracleArbiter::Request& other, const OracleArbiter::Request& asked) {
  return other.token == asked.token && other.any == asked.any && other.ttl == asked.ttl &&
         agrees(asked, other.lock_delay, other.meta) &&
         (!asked.asked_owner || other.owner == *asked.asked_owner) &&
         std::equal(other.wanted.begin(), other.wanted.end(), asked.wanted.begin(),
                    asked.wanted.end(), [](const auto& a, const auto& b) {
                      return a.packed_path == b.packed_path && a.shape == b.shape;
                    });
}

}  // namespace

bool OracleArbiter::is_passed(const Request& other, const Token& token) const {
  if (other.token == token || other.is_kept) return true;
  const auto is_open = [&](const Wanted& wanted) {
    return std::none_of(locks_.begin(), locks_.end(), [&](const Lock& lock) {
      return lock.token == token && !lock.is_cooling && clash(lock, wanted);
    });
  };
  const auto open = std::count_if(other.wanted.begin(), other.wanted.end(), is_open);
  return static_cast<std::size_t>(open) < needed(other);
}

bool OracleArbiter::is_free(const Request& request, const Wanted& wanted,
                            std::size_t before) const {
  for (const Lock& lock : locks_) {
    if ((lock.is_cooling || lock.token != request.token) && clash(lock, wanted)) return false;
  }
  if (request.changes_mode) return true;
  for (std::size_t place = 0; place < before; ++place) {
    const Request& other = requests_[place];
    if (!is_passed(other, request.token) && clash(other, wanted)) return false;
  }
  return true;
}

std::vector<std::size_t> OracleArbiter::free_ones(const Request& request,
                                                  std::size_t before) const {
  std::vector<std::size_t> free;
  for (std::size_t i = 0; i < request.wanted.size() && free.size() < needed(request); ++i) {
    if (is_free(request, request.wanted[i], before)) free.push_back(i);
  }
  return free;
}

bool OracleArbiter::waits_for(std::size_t place, const Token& to,
                              const std::vector<Request>& requests) const {
  const Request& request = requests[place];
  if (request.is_kept || needed(request) < request.wanted.size()) return false;
  for (const auto& wanted : request.wanted) {
    for (const Lock& lock : locks_) {
      if (!lock.is_cooling && lock.token == to && clash(lock, wanted)) return true;
    }
    for (std::size_t before = 0; before < place && !request.changes_mode; ++before) {
      const Request& other = requests[before];
      if (other.token == to && !is_passed(other, request.token) && clash(other, wanted)) {
        return true;
      }
    }
  }
  return false;
}

/// Whether these requests of one lease wait, directly or through others, for that lease.
bool OracleArbiter::waits_for_itself(std::vector<std::size_t> places,
                                     const std::vector<Request>& requests) const {
  std::set<Token> tokens;
  for (const Lock& lock : locks_) tokens.insert(lock.token);
  for (const Request& each : requests) tokens.insert(each.token);
  const Token own = requests[places.front()].token;
  std::set<Token> reached;
  while (!places.empty()) {
    const std::size_t place = places.back();
    places.pop_back();
    for (const Token& to : tokens) {
      if (to == requests[place].token || !waits_for(place, to, requests)) continue;
      if (to == own) return true;
      if (!reached.insert(to).second) continue;
      for (std::size_t i = 0; i < requests.size(); ++i) {
        if (requests[i].token == to) places.push_back(i);
      }
    }
  }
  return false;
}

bool OracleArbiter::is_deadlock(const Request& request, std::size_t place) const {
  std::vector<Request> requests = requests_;
  if (place == requests.size()) {
    requests.push_back(request);
  } else {
    requests[place].is_kept = false;
  }
  if (needed(request) < request.wanted.size()) return false;
  std::vector<std::size_t> places;
  for (std::size_t i = 0; i < requests.size(); ++i) {
    if (requests[i].token == request.token) places.push_back(i);
  }
  return waits_for_itself(places, requests);
}

void OracleArbiter::note_change(const Token& token, const Wanted& changed) {
  const bool is_wanted = std::any_of(requests_.begin(), requests_.end(), [&](const Request& other) {
    return !other.is_kept && other.token != token && clash(other, changed);
  });
  if (is_wanted) changed_.insert(token);
}

void OracleArbiter::refuse_deadlocks_of(const Token& token, Instant now) {
  for (std::size_t place = requests_.size(); place-- > 0;) {
    if (requests_[place].token != token || !waits_for_itself({place}, requests_)) continue;
    decisions_.push_back(decision(requests_[place], Outcome::deadlock, now));
    requests_.erase(requests_.begin() + static_cast<std::ptrdiff_t>(place));
  }
}

bool OracleArbiter::has_deadlock() const {
  for (std::size_t place = 0; place < requests_.size(); ++place) {
    if (waits_for_itself({place}, requests_)) return true;
  }
  return false;
}

/// Whether the other lease is in the way of the request at this place as the step states: holds a
/// lock there with this fence, or has an earlier request there.
bool OracleArbiter::is_blocked_as_told(const CycleStep& step, std::size_t place,
                                       const Wanted& wanted, const Token& by,
                                       const std::vector<Request>& requests) const {
  if (step.fence != 0) {
    return std::any_of(locks_.begin(), locks_.end(), [&](const Lock& lock) {
      return lock.token == by && !lock.is_cooling && lock.fence == step.fence &&
             lock.packed_path == step.blocked_by && clash(lock, wanted);
    });
  }
  for (std::size_t before = 0; before < place; ++before) {
    const Request& other = requests[before];
    if (other.token != by || is_passed(other, requests[place].token)) continue;
    for (const auto& its : other.wanted) {
      if (its.packed_path == step.blocked_by && clash(its, wanted)) return true;
    }
  }
  return false;
}

bool OracleArbiter::is_cycle(const Request& asked, const std::vector<CycleStep>& cycle) const {
  // At the end of the queue, also if it had a place before.
  std::vector<Request> requests = requests_;
  Request request = asked;
  const auto same = std::find_if(requests.begin(), requests.end(),
                                 [&](const Request& each) { return is_same_request(each, asked); });
  if (same != requests.end()) {
    request = *same;
    request.is_kept = false;
    requests.erase(same);
  } else {
    for (const Request& each : requests) {
      const bool is_of_its_lease = each.token == asked.token && !is_of_another(each, asked);
      if (is_of_its_lease && request.owner.empty()) request.owner = each.owner;
    }
  }
  requests.push_back(request);
  std::set<Token> all;
  for (const auto& [token, lease] : leases_) all.insert(token);
  for (const Request& each : requests) all.insert(each.token);
  std::set<Token> reached{asked.token};
  for (const CycleStep& step : cycle) {
    std::set<Token> next;
    for (std::size_t place = 0; place < requests.size(); ++place) {
      const Request& from = requests[place];
      const auto lease = leases_.find(from.token);
      const std::string& owner = lease == leases_.end() ? from.owner : lease->second.owner;
      const auto wanted =
          std::find_if(from.wanted.begin(), from.wanted.end(),
                       [&](const auto& its) { return its.packed_path == step.waits_for; });
      if (!reached.contains(from.token) || owner != step.owner || wanted == from.wanted.end()) {
        continue;
      }
      std::vector<Request> with_one = requests;
      if (needed(from) == from.wanted.size()) {
        with_one[place].wanted = {*wanted};
        with_one[place].any = 0;
      }
      for (const Token& to : all) {
        if (to != from.token && waits_for(place, to, with_one) &&
            is_blocked_as_told(step, place, *wanted, to, requests)) {
          next.insert(to);
        }
      }
    }
    reached = next;
  }
  return reached.contains(asked.token);
}

std::vector<OracleArbiter::Lock> OracleArbiter::holders_in_the_way(const Request& request) const {
  std::vector<Lock> holders;
  for (const auto& wanted : request.wanted) {
    for (const Lock& lock : locks_) {
      if ((lock.is_cooling || lock.token != request.token) && clash(lock, wanted)) {
        holders.push_back(lock);
      }
    }
  }
  return holders;
}

/// For each wanted path: every holder in the way, and the last waiter in the way before it.
std::vector<LockInfo> OracleArbiter::list_blockers(const Request& request,
                                                   std::size_t before) const {
  std::vector<LockInfo> all;
  for (const auto& wanted : request.wanted) {
    for (const Lock& lock : locks_) {
      if ((!lock.is_cooling && lock.token == request.token) || !clash(lock, wanted)) continue;
      LockInfo& info = all.emplace_back();
      info.packed_path = lock.packed_path;
      info.shape = lock.shape;
      info.owner = lock.owner;
      info.state = lock.is_cooling ? LockInfo::State::cooling : LockInfo::State::held;
      info.fence = lock.fence;
    }
    for (std::size_t place = request.changes_mode ? 0 : before; place-- > 0;) {
      const Request& other = requests_[place];
      if (is_passed(other, request.token) || !clash(other, wanted)) continue;
      const auto its = std::find_if(other.wanted.begin(), other.wanted.end(),
                                    [&](const auto& each) { return clash(each, wanted); });
      LockInfo& info = all.emplace_back();
      info.packed_path = its->packed_path;
      info.shape = its->shape;
      info.owner = other.owner;
      info.state = LockInfo::State::waiting;
      info.waiting_since = other.since;
      break;
    }
  }
  return all;
}

void OracleArbiter::set_blockers(const std::vector<LockInfo>& blockers, Decision& decision) {
  if (blockers.size() >= blockers_named_max) return;
  for (const LockInfo& info : blockers) {
    decision.blockers.push_back(std::to_string(static_cast<int>(info.state)) + " '" +
                                info.packed_path + "' '" + info.owner + "' " +
                                std::to_string(static_cast<int>(info.shape.mode)) +
                                std::to_string(static_cast<int>(info.shape.lock_parents)) +
                                std::to_string(static_cast<int>(info.shape.lock_children)) +
                                " fence " + std::to_string(info.fence) + " since " +
                                std::to_string(info.waiting_since.time_since_epoch().count()));
  }
  std::sort(decision.blockers.begin(), decision.blockers.end());
}

std::size_t OracleArbiter::waiters_behind(const Token& token) const {
  return static_cast<std::size_t>(
      std::count_if(requests_.begin(), requests_.end(), [&](const Request& request) {
        return !request.is_kept && request.token != token &&
               std::any_of(locks_.begin(), locks_.end(), [&](const Lock& lock) {
                 return !lock.is_cooling && lock.token == token &&
                        clash(request, {lock.packed_path, lock.shape});
               });
      }));
}

bool OracleArbiter::can_grant() const {
  for (std::size_t place = 0; place < requests_.size(); ++place) {
    const Request& request = requests_[place];
    if (!request.is_kept && free_ones(request, place).size() == needed(request)) return true;
  }
  return false;
}

OracleArbiter::Decision OracleArbiter::acquire(const Request& asked, Duration wait, Instant now) {
  Request request = asked;
  Decision decision{request.number, Outcome::granted, {}};
  const auto refused = [&](Outcome outcome) {
    decision.outcome = outcome;
    return decision;
  };
  std::size_t place = requests_.size();
  if (request.is_chosen) {
    const auto lease = leases_.find(request.token);
    const auto ended = ended_.find(request.token);
    if (!is_living(request.token)) {
      if (ended != ended_.end() && ended->second.reason != End::released) {
        decision.reason = ended->second.reason;
        decision.detail = ended->second.detail;
        return refused(Outcome::lease_ended);
      }
    } else {
      keep_alive(request.token, now);
      if (request.asked_owner && *request.asked_owner != lease->second.owner) {
        return refused(Outcome::token_in_use);
      }
      request.owner = lease->second.owner;
      std::vector<const Lock*> held;
      for (const auto& wanted : request.wanted) {
        for (const Lock& lock : locks_) {
          if (!lock.is_cooling && lock.token == request.token &&
              lock.packed_path == wanted.packed_path) {
            held.push_back(&lock);
            decision.paths.push_back(wanted.packed_path);
          }
        }
      }
      if (!held.empty()) {
        const auto is_same = [&](const Lock* lock) {
          return lock->fence == held.front()->fence &&
                 agrees(request, lock->lock_delay, lock->meta) &&
                 std::any_of(request.wanted.begin(), request.wanted.end(), [&](const auto& wanted) {
                   return wanted.packed_path == lock->packed_path && wanted.shape == lock->shape;
                 });
        };
        if (held.size() == needed(request) && std::all_of(held.begin(), held.end(), is_same) &&
            (!request.ttl || !outlasts(*request.ttl, lease->second.ttl))) {
          return refused(Outcome::held_already);
        }
        decision.paths.clear();
        const Shape& had = held.front()->shape;
        const Shape& wants = request.wanted.front().shape;
        if (request.wanted.size() != 1 || had.mode == wants.mode ||
            had.lock_parents != wants.lock_parents || had.lock_children != wants.lock_children ||
            !agrees(request, held.front()->lock_delay, held.front()->meta)) {
          return refused(Outcome::token_in_use);
        }
        request.changes_mode = true;
        request.lock_delay = held.front()->lock_delay;
        request.meta = held.front()->meta;
      }
    }
    const auto same = std::find_if(requests_.begin(), requests_.end(),
                                   [&](auto& other) { return is_same_request(other, request); });
    if (same != requests_.end()) {
      place = static_cast<std::size_t>(same - requests_.begin());
      if (!same->is_kept) {
        decisions_.push_back({same->number, Outcome::superseded, {}});
        stop_waiting(place, now);
      }
      requests_[place].number = request.number;
      request = requests_[place];
    }
    std::set<std::uint64_t> given_up;
    for (const Request& other : requests_) {
      if (other.token != request.token || place < requests_.size()) continue;
      if (!is_of_another(other, request) && request.owner.empty()) request.owner = other.owner;
      const bool shares =
          is_of_another(other, request) ||
          std::any_of(other.wanted.begin(), other.wanted.end(), [&](const auto& a) {
            return std::any_of(request.wanted.begin(), request.wanted.end(),
                               [&](const auto& b) { return a.packed_path == b.packed_path; });
          });
      if (!shares) continue;
      if (!other.is_kept) return refused(Outcome::token_in_use);
      given_up.insert(other.number);
    }
    if (place == requests_.size()) {
      std::erase_if(requests_, [&](const Request& other) {
        return other.is_kept && given_up.contains(other.number);
      });
      place = requests_.size();
    }
  }
  const auto free = free_ones(request, place);
  if (free.size() == needed(request)) {
    const bool has_waited = place < requests_.size();
    if (has_waited) decision.waited = now - request.since;
    if (const auto refusal = refusal_of(request)) return refused(*refusal);
    if (has_waited) requests_.erase(requests_.begin() + static_cast<std::ptrdiff_t>(place));
    Decision granted = grant(request, free, now);
    granted.waited = decision.waited;
    return granted;
  }
  if (wait.count() == 0) {
    set_blockers(list_blockers(request, place), decision);
    return refused(Outcome::blocked);
  }
  if (place == requests_.size()) {
    if (requests_.size() >= limits_.waiters_max) return refused(Outcome::too_many_waiters);
    const auto of_lease = std::count_if(requests_.begin(), requests_.end(), [&](const auto& other) {
      return other.token == request.token;
    });
    if (static_cast<std::size_t>(of_lease) >= limits_.waiters_of_lease_max) {
      return refused(Outcome::too_many_waiters_of_lease);
    }
  }
  if (place == requests_.size()) request.since = now;
  bool is_refused = is_deadlock(request, place);
  if (place < requests_.size() && is_refused) {  // then it goes to the end of the queue
    requests_.erase(requests_.begin() + static_cast<std::ptrdiff_t>(place));
    place = requests_.size();
    request.is_kept = false;
    is_refused = is_deadlock(request, place);
  }
  if (is_refused) return refused(Outcome::deadlock);
  request.deadline = now + wait;
  request.is_kept = false;
  if (needed(request) < request.wanted.size()) changed_.insert(request.token);
  if (place < requests_.size()) {
    requests_[place] = request;
  } else {
    requests_.push_back(request);
  }
  name(request.token, request.owner);
  return refused(Outcome::queued);
}

std::size_t OracleArbiter::locks_of(const Token& token) const {
  return static_cast<std::size_t>(
      std::count_if(locks_.begin(), locks_.end(),
                    [&](const Lock& lock) { return lock.token == token && !lock.is_cooling; }));
}

Fence OracleArbiter::newest_fence_of(const Token& token) const {
  Fence newest = 0;
  for (const Lock& lock : locks_) {
    if (lock.token == token && !lock.is_cooling) newest = std::max(newest, lock.fence);
  }
  return newest;
}

std::optional<Outcome> OracleArbiter::refusal_by_limits(const Request& request) const {
  const std::size_t count = request.changes_mode ? 0 : needed(request);
  if (locks_.size() + count > limits_.locks_max) return Outcome::too_many_locks;
  if (!has(request.token)) {
    if (leases_.size() >= limits_.leases_max) return Outcome::too_many_leases;
  } else if (locks_of(request.token) + count > limits_.locks_of_lease_max) {
    return Outcome::too_many_locks_of_lease;
  }
  return std::nullopt;
}

std::optional<Outcome> OracleArbiter::refusal_of(const Request& request) const {
  if (const auto refusal = refusal_by_limits(request)) return refusal;
  if (rooms_.grants == Room::soon) return Outcome::busy;
  if (rooms_.grants == Room::none) return Outcome::disk_full;
  if (bytes_for(request) > rooms_.bytes) return Outcome::busy;
  return std::nullopt;
}

/// All wait for a journal without room; nobody else waits for a request that wants too much room.
void OracleArbiter::delay(Request& request, Instant now) {
  if (rooms_.grants != Room::enough) {
    stuck_until_ = now + std::chrono::milliseconds{5};
    return;
  }
  if (!has_delayed()) delayed_until_ = now + std::chrono::milliseconds{50};
  request.is_delayed = true;
}

OracleArbiter::Decision OracleArbiter::grant(const Request& request,
                                             const std::vector<std::size_t>& chosen, Instant now) {
  Decision decision{request.number, Outcome::granted, {}};
  const auto lease = leases_.find(request.token);
  for (Request& other : requests_) {
    if (other.token == request.token) other.is_delayed = false;  // it is re-examined
  }
  const Fence fence = take_fence(now);
  for (const std::size_t index : chosen) {
    const Wanted& wanted = request.wanted[index];
    std::erase_if(locks_, [&](const Lock& lock) {
      const bool changes =
          !lock.is_cooling && lock.token == request.token && lock.packed_path == wanted.packed_path;
      if (changes) note_change(request.token, {lock.packed_path, lock.shape});
      return changes;
    });
    note_change(request.token, wanted);
    locks_.push_back({request.token, wanted.packed_path, wanted.shape, fence, false, Instant{},
                      request.lock_delay,
                      lease == leases_.end() ? request.owner : lease->second.owner, request.meta});
    decision.paths.push_back(wanted.packed_path);
  }
  if (lease == leases_.end()) {
    leases_[request.token] =
        Lease{request.ttl.value_or(request.default_ttl), Instant::max(), request.owner};
    name(request.token, request.owner);
    note_lease(request.token, std::nullopt);
  } else if (request.ttl && !(request.promised && outlasts(*request.promised, *request.ttl))) {
    lease->second.ttl = *request.ttl;
  }
  keep_alive(request.token, now);
  return decision;
}

void OracleArbiter::name(const Token& token, const std::string& owner) {
  for (Request& each : requests_) {
    if (each.token == token && each.owner.empty()) each.owner = owner;
  }
}

void OracleArbiter::keep_alive(const Token& token, Instant now) {
  Lease& lease = leases_.at(token);
  restart_clock(lease, now);
  for (Request& each : requests_) {
    if (each.token == token) each.promised = lease.ttl;
  }
}

void OracleArbiter::restart_clock(Lease& lease, Instant now) const {
  lease.expires =
      lease.ttl.count() == 0 ? Instant::max() : now + std::chrono::milliseconds{lease.ttl.count()};
}

LeaseOutcome OracleArbiter::renew(const Token& token, std::optional<Milliseconds> ttl,
                                  Instant now) {
  const auto lease = leases_.find(token);
  if (!is_living(token)) {
    return ended_.contains(token) ? LeaseOutcome::ended : LeaseOutcome::unknown;
  }
  if (ttl && *ttl != lease->second.ttl && rooms_.grants != Room::enough) {
    return rooms_.grants == Room::soon ? LeaseOutcome::busy : LeaseOutcome::disk_full;
  }
  if (ttl) lease->second.ttl = *ttl;
  keep_alive(token, now);
  return LeaseOutcome::living;
}

LeaseOutcome OracleArbiter::open_lease(const Token& token, const std::string& owner,
                                       Milliseconds ttl, Instant now) {
  const auto lease = leases_.find(token);
  if (is_living(token)) {
    const bool is_same =
        lease->second.is_opened && lease->second.owner == owner && lease->second.ttl == ttl;
    if (!is_same) return LeaseOutcome::in_use;
    keep_alive(token, now);
    return LeaseOutcome::living;
  }
  const auto ended = ended_.find(token);
  if (ended != ended_.end() && ended->second.reason != End::released) {
    return LeaseOutcome::ended;
  }
  for (const Request& other : requests_) {
    const bool has_another_owner = !other.owner.empty() && other.owner != owner;
    if (other.token == token && has_another_owner) return LeaseOutcome::in_use;
  }
  if (leases_.size() >= limits_.leases_max) return LeaseOutcome::too_many;
  if (rooms_.grants == Room::soon) return LeaseOutcome::busy;
  if (rooms_.grants == Room::none) return LeaseOutcome::disk_full;
  note_lease(token, std::nullopt);
  static_cast<void>(take_fence(now));
  leases_[token] = Lease{ttl, Instant::max(), owner, true};
  name(token, owner);
  keep_alive(token, now);
  return LeaseOutcome::opened;
}

Outcome OracleArbiter::acquire_legacy(const Token& token, const Wanted& wanted,
                                      const std::string& owner, Milliseconds ttl, Instant now) {
  const auto is_in_the_way = [&](const std::string& packed_path, const Shape& shape) {
    return !oracle::are_both_shared(shape, wanted.shape) &&
           oracle::blocks(PathView{packed_path}, shape, wanted.path());
  };
  for (const Lock& lock : locks_) {
    if (is_in_the_way(lock.packed_path, lock.shape)) return Outcome::blocked;
  }
  for (const Request& request : requests_) {
    if (request.is_kept) continue;
    for (const auto& its : request.wanted) {
      if (is_in_the_way(its.packed_path, its.shape)) return Outcome::blocked;
    }
  }
  Request request;
  request.token = token;
  request.wanted = {wanted};
  request.owner = owner;
  request.ttl = ttl;
  if (const auto refusal = refusal_of(request)) return *refusal;
  grant(request, {0}, now);
  return Outcome::granted;
}

void OracleArbiter::end_lock(std::size_t place, End reason, const std::string& detail,
                             Instant now) {
  Lock& lock = locks_[place];
  const Token token = lock.token;
  note_lock({token, lock.packed_path}, {reason, lock.fence, detail});
  for (Request& request : requests_) {
    if (request.token != token || !request.changes_mode ||
        request.wanted.front().packed_path != lock.packed_path) {
      continue;
    }
    request.changes_mode = false;  // it becomes an ordinary request
    changed_.insert(token);
  }
  note_change(token, {lock.packed_path, lock.shape});
  if (reason != End::released && lock.lock_delay.count() != 0) {
    lock.is_cooling = true;
    lock.cools_until = now + std::chrono::milliseconds{lock.lock_delay.count()};
  } else {
    locks_.erase(locks_.begin() + static_cast<std::ptrdiff_t>(place));
  }
}

/// REQUIRES: the lease has no locks.
void OracleArbiter::end_lease(const Token& token, End reason, const std::string& detail,
                              Instant now) {
  const Lease& lease = leases_.at(token);
  for (Request& request : requests_) {
    if (request.token != token) continue;
    if (request.owner.empty()) request.owner = lease.owner;
    request.default_ttl = lease.ttl;
  }
  leases_.erase(token);
  note_lease(token, Ended{reason, 0, detail});
  if (reason != End::released) refuse_waiters_of(token, now);
  expiring_.erase(token);
}

void OracleArbiter::refuse_waiters_of(const Token& token, Instant now) {
  const Ended& ended = ended_.at(token);
  std::erase_if(requests_, [&](const Request& request) {
    if (request.token != token) return false;
    if (request.is_kept) return true;
    Decision& told = decisions_.emplace_back(decision(request, Outcome::lease_ended, now));
    told.reason = ended.reason;
    told.detail = ended.detail;
    return true;
  });
}

/// Notes an end, or its removal, that is in the journal, too.
void OracleArbiter::note_lease(const Token& token, const std::optional<Ended>& ended) {
  journaled_.erase(token);
  if (ended) {
    ended_[token] = *ended;
  } else {
    ended_.erase(token);
  }
}

void OracleArbiter::note_lock(const std::pair<Token, std::string>& lock, const Ended& ended) {
  journaled_locks_.erase(lock);
  ended_locks_[lock] = ended;
}

/// Ends waiting requests and kept places. A token that has a lease, or other requests, keeps these.
void OracleArbiter::end_waits(const std::function<bool(const Request&)>& fits, const Ended& why,
                              Instant now) {
  std::set<Token> chosen;
  std::erase_if(requests_, [&](const Request& request) {
    if (!fits(request)) return false;
    ++waits_ended_;
    if (request.is_chosen) chosen.insert(request.token);
    if (request.is_kept) return true;
    Decision& told = decisions_.emplace_back(decision(request, Outcome::lease_ended, now));
    told.reason = why.reason;
    told.detail = why.detail;
    return true;
  });
  for (const Token& token : chosen) {
    const bool waits = std::any_of(requests_.begin(), requests_.end(),
                                   [&](const Request& request) { return request.token == token; });
    if (waits || has(token)) continue;
    const auto before = ended_.find(token);
    journaled_.try_emplace(
        token, before == ended_.end() ? std::nullopt : std::optional<Ended>{before->second});
    ended_[token] = why;
  }
}

Released OracleArbiter::release(const Token& token, const std::string& packed_path, Instant now) {
  Released released;
  const auto lock = std::find_if(locks_.begin(), locks_.end(), [&](const Lock& its) {
    return !its.is_cooling && its.token == token && its.packed_path == packed_path;
  });
  if (lock != locks_.end()) {
    if (refuse_without_room(rooms_, released)) return released;
    released.fence = lock->fence;
    released.count = 1;
    end_lock(static_cast<std::size_t>(lock - locks_.begin()), End::released, "", now);
    if (locks_of(token) == 0 && !leases_.at(token).is_opened) {
      end_lease(token, End::released, "", now);
    }
    return released;
  }
  const auto waits_here = [&](const Request& request) {
    return request.token == token &&
           std::any_of(request.wanted.begin(), request.wanted.end(),
                       [&](const auto& wanted) { return wanted.packed_path == packed_path; });
  };
  const auto request = std::find_if(requests_.begin(), requests_.end(), waits_here);
  if (request != requests_.end()) {
    const auto left = request->wanted;
    end_waits(waits_here, {End::released, 0, ""}, now);
    for (const auto& wanted : left) {
      const std::pair place{token, wanted.packed_path};
      const auto before = ended_locks_.find(place);
      if (before != ended_locks_.end() && before->second.reason == End::released) {
        if (wanted.packed_path == packed_path) released.fence = before->second.fence;
        continue;
      }
      journaled_locks_.try_emplace(place, before == ended_locks_.end()
                                              ? std::nullopt
                                              : std::optional<Ended>{before->second});
      ended_locks_[place] = {End::released, 0, ""};
    }
    released.outcome = ReleaseOutcome::left;
    return released;
  }
  if (const auto ended = ended_locks_.find({token, packed_path}); ended != ended_locks_.end()) {
    released = released_before(ended->second);
    released.fence = ended->second.fence;
    return released;
  }
  const auto gone = ended_.find(token);
  const bool waits = std::any_of(requests_.begin(), requests_.end(),
                                 [&](const Request& its) { return its.token == token; });
  if (gone != ended_.end() && gone->second.reason == End::forced && !waits && !has(token)) {
    return released_before(gone->second);
  }
  const bool others_hold = std::any_of(locks_.begin(), locks_.end(), [&](const Lock& its) {
    return its.packed_path == packed_path && !its.is_cooling;
  });
  released.outcome = others_hold ? ReleaseOutcome::wrong_token : ReleaseOutcome::not_held;
  return released;
}

Released OracleArbiter::release_all(const Token& token, Instant now) {
  Released released;
  if (is_living(token)) {
    if (refuse_without_room(rooms_, released)) return released;
    released.count = locks_of(token);
    for (std::size_t place = 0; place < locks_.size();) {
      if (locks_[place].token == token && !locks_[place].is_cooling) {
        end_lock(place, End::released, "", now);
      } else {
        ++place;
      }
    }
    end_lease(token, End::released, "", now);
    return released;
  }
  const auto is_its = [&](const Request& request) { return request.token == token; };
  if (std::any_of(requests_.begin(), requests_.end(), is_its)) {
    end_waits(is_its, {End::released, 0, ""}, now);
    released.outcome = ReleaseOutcome::left;
    return released;
  }
  const auto ended = ended_.find(token);
  if (ended != ended_.end()) return released_before(ended->second);
  released.outcome = ReleaseOutcome::not_held;
  return released;
}

Forced OracleArbiter::force(const ForceFilter& filter, const std::string& detail, Instant now) {
  const auto is_there = [&](const std::string& packed_path) {
    return (!filter.packed_path || packed_path == *filter.packed_path) &&
           (!filter.packed_prefix || packed_path == *filter.packed_prefix ||
            oracle::is_below(PathView{packed_path}, PathView{*filter.packed_prefix}));
  };
  const auto fits = [&](const Lock& lock) {
    return (!lock.is_cooling || filter.ends_cooling) && is_there(lock.packed_path) &&
           (!filter.owner || lock.owner == *filter.owner) &&
           (!filter.fence || lock.fence == *filter.fence);
  };
  const auto fits_waiting = [&](const Request& request) {
    return filter.ends_waiting && !filter.fence &&
           (!filter.owner || request.owner == *filter.owner) &&
           std::any_of(request.wanted.begin(), request.wanted.end(),
                       [&](const auto& wanted) { return is_there(wanted.packed_path); });
  };
  Forced forced;
  forced.count =
      static_cast<std::size_t>(std::count_if(requests_.begin(), requests_.end(), fits_waiting));
  end_waits(fits_waiting, {End::forced, 0, detail}, now);
  for (std::size_t place = 0; place < locks_.size();) {
    const Lock lock = locks_[place];
    if (!fits(lock)) {
      ++place;
      continue;
    }
    if (!has_room_for_ends()) {
      forced.outcome = rooms_.ends == Room::soon ? Outcome::busy : Outcome::disk_full;
      return forced;
    }
    ++forced.count;
    if (lock.is_cooling) {
      locks_.erase(locks_.begin() + static_cast<std::ptrdiff_t>(place));
      continue;
    }
    const std::size_t before = locks_.size();
    end_lock(place, End::forced, detail, now);
    if (locks_of(lock.token) == 0) end_lease(lock.token, End::forced, detail, now);
    if (locks_.size() == before) ++place;  // it is cooling
  }
  const bool is_everywhere = !filter.packed_path && filter.packed_prefix.value_or("").empty();
  if (!filter.owner || filter.fence || !is_everywhere) return forced;
  const std::map<Token, Lease> leases = leases_;
  for (const auto& [token, lease] : leases) {
    if (lease.owner != *filter.owner || locks_of(token) != 0) continue;
    if (!has_room_for_ends()) {
      forced.outcome = rooms_.ends == Room::soon ? Outcome::busy : Outcome::disk_full;
      return forced;
    }
    ++forced.count;
    end_lease(token, End::forced, detail, now);
  }
  return forced;
}

void OracleArbiter::stop_waiting(std::size_t place, Instant now) {
  if (!requests_[place].is_chosen) {
    requests_.erase(requests_.begin() + static_cast<std::ptrdiff_t>(place));
    return;
  }
  requests_[place].is_kept = true;
  requests_[place].is_delayed = false;
  requests_[place].deadline = now + place_kept;
}

bool OracleArbiter::abandon(std::uint64_t number, Instant now) {
  for (std::size_t place = 0; place < requests_.size(); ++place) {
    if (requests_[place].number != number || requests_[place].is_kept) continue;
    stop_waiting(place, now);
    return true;
  }
  return false;
}

std::vector<OracleArbiter::Due> OracleArbiter::next_due() const {
  std::vector<Due> all;
  for (const auto& [token, lease] : leases_) {
    if (lease.expires != Instant::max()) all.push_back({lease.expires, token});
  }
  for (const Lock& lock : locks_) {
    if (lock.is_cooling) all.push_back({lock.cools_until, {}, lock.fence, lock.packed_path});
  }
  for (const Request& request : requests_) {
    all.push_back({request.deadline, {}, 0, {}, request.number});
  }
  Instant first = Instant::max();
  for (const Due& due : all) first = std::min(first, due.when);
  std::erase_if(all, [&](const Due& due) { return due.when != first; });
  return all;
}

void OracleArbiter::end(const Due& due, Instant now) {
  if (due.lease) return expire(*due.lease, now);
  if (due.request != 0) {
    const auto request = std::find_if(requests_.begin(), requests_.end(),
                                      [&](const auto& its) { return its.number == due.request; });
    return end_wait(static_cast<std::size_t>(request - requests_.begin()), now);
  }
  const auto cooled = std::find_if(locks_.begin(), locks_.end(), [&](const Lock& lock) {
    return lock.fence == due.cooling && lock.packed_path == due.packed_path;
  });
  if (has_room_for_ends()) {
    locks_.erase(cooled);
  } else {
    cooled->cools_until = retry_at(now);
  }
}

/// All ends that found no room are retried together, 10 ms after the first of them.
Instant OracleArbiter::retry_at(Instant now) {
  if (retry_at_ <= now) retry_at_ = now + std::chrono::milliseconds{10};
  return retry_at_;
}

/// Ends a few of the lease's locks, and with the last of them the lease.
void OracleArbiter::expire(const Token& token, Instant now) {
  Lease& lease = leases_.at(token);
  if (!has_room_for_ends()) {
    lease.expires = retry_at(now);
    return;
  }
  std::size_t left = limits_.ended_at_once_max;
  for (std::size_t place = 0; place < locks_.size() && left > 0;) {
    if (locks_[place].token != token || locks_[place].is_cooling) {
      ++place;
      continue;
    }
    const std::size_t before = locks_.size();
    end_lock(place, End::expired, "", now);
    if (locks_.size() == before) ++place;  // it is cooling
    --left;
  }
  if (locks_of(token) == 0) return end_lease(token, End::expired, "", now);
  lease.expires = now;
  if (!expiring_.insert(token).second) return;
  lease.ttl = expiring_ttl;
  note_lease(token, Ended{End::expired, 0, ""});
  refuse_waiters_of(token, now);
}

void OracleArbiter::end_wait(std::size_t place, Instant now) {
  const Request request = requests_[place];
  if (request.is_kept) {
    requests_.erase(requests_.begin() + static_cast<std::ptrdiff_t>(place));
    return;
  }
  const auto free = free_ones(request, place);
  if (free.size() < needed(request)) {
    Decision& told = decisions_.emplace_back(decision(request, Outcome::blocked, now));
    set_blockers(list_blockers(request, place), told);
    return stop_waiting(place, now);
  }
  const auto refusal = refusal_of(request);
  if (refusal == Outcome::busy && rooms_.grants != Room::enough) {
    delay(requests_[place], now);
    requests_[place].deadline = stuck_until_;
    return;
  }
  requests_.erase(requests_.begin() + static_cast<std::ptrdiff_t>(place));
  decide(request, free, refusal, now);
}

/// REQUIRES: the request has been taken out of the queue.
void OracleArbiter::decide(const Request& request, const std::vector<std::size_t>& free,
                           std::optional<Outcome> refusal, Instant now) {
  Decision told = decision(request, refusal.value_or(Outcome::granted), now);
  if (!refusal) told.paths = grant(request, free, now).paths;
  decisions_.push_back(std::move(told));
}

bool OracleArbiter::has_delayed() const {
  return std::any_of(requests_.begin(), requests_.end(),
                     [](const Request& each) { return each.is_delayed; });
}

void OracleArbiter::settle(Instant now, std::size_t decisions_max) {
  if (has_delayed() && now >= stuck_until_ && now >= delayed_until_) {
    delayed_until_ = now + std::chrono::milliseconds{50};
    for (Request& request : requests_) {
      const bool fits = rooms_.grants == Room::none ||
                        (rooms_.grants == Room::enough && bytes_for(request) <= rooms_.bytes);
      if (fits) request.is_delayed = false;
    }
  }
  for (std::size_t place = 0; now >= stuck_until_ && decisions_.size() < decisions_max;) {
    if (place == requests_.size()) {
      // Nothing more can be granted.
      if (changed_.empty()) return;
      refuse_deadlocks_of(changed_.extract(changed_.begin()).value(), now);
      place = 0;
      continue;
    }
    const Request request = requests_[place];
    const bool is_skipped = request.is_kept || request.is_delayed;
    const auto free = is_skipped ? std::vector<std::size_t>{} : free_ones(request, place);
    if (is_skipped || free.size() < needed(request)) {
      ++place;
      continue;
    }
    const auto refusal = refusal_of(request);
    if (refusal == Outcome::busy) {
      delay(requests_[place], now);
      continue;
    }
    requests_.erase(requests_.begin() + static_cast<std::ptrdiff_t>(place));
    decide(request, free, refusal, now);
    place = 0;
  }
}

void OracleArbiter::restart(bool from_snapshot) {
  requests_.clear();
  changed_.clear();
  stuck_until_ = delayed_until_ = retry_at_ = Instant{};
  const auto bring_back = [](auto& journaled, auto& ended) {
    for (const auto& [of, before] : std::exchange(journaled, {})) {
      if (before) {
        ended[of] = *before;
      } else {
        ended.erase(of);
      }
    }
  };
  bring_back(journaled_, ended_);
  bring_back(journaled_locks_, ended_locks_);
  if (from_snapshot) {
    ended_.clear();
    ended_locks_.clear();
    for (const Token& token : expiring_) ended_[token] = Ended{End::expired, 0, ""};
  }
  // The journal does not contain details.
  for (auto& [token, ended] : ended_) ended.detail.clear();
  for (auto& [lock, ended] : ended_locks_) ended.detail.clear();
  for (auto& [token, lease] : leases_) {
    restart_clock(lease, Instant{});
    if (expiring_.contains(token)) lease.expires = Instant{};
  }
  for (Lock& lock : locks_) {
    if (lock.is_cooling) {
      lock.cools_until = Instant{std::chrono::milliseconds{lock.lock_delay.count()}};
    }
  }
}

std::vector<OracleArbiter::Decision> OracleArbiter::take_decisions() {
  auto taken = std::exchange(decisions_, {});
  std::sort(taken.begin(), taken.end());
  return taken;
}

}  // namespace locker::core
