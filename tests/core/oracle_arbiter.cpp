#include "tests/core/oracle_arbiter.hpp"

#include <algorithm>
#include <iterator>
#include <set>
#include <utility>

#include "core/clash.hpp"

namespace locker::core {
namespace {

bool clash(const OracleArbiter::Lock& lock, const Waiter::Wanted& wanted) {
  return clash(PathView{lock.packed_path}, lock.shape, wanted.path(), wanted.shape);
}

bool clash(const OracleArbiter::Request& request, const Waiter::Wanted& wanted) {
  return std::any_of(request.wanted.begin(), request.wanted.end(), [&](const auto& its) {
    return clash(its.path(), its.shape, wanted.path(), wanted.shape);
  });
}

std::size_t needed(const OracleArbiter::Request& request) {
  return request.any == 0 ? request.wanted.size() : request.any;
}

}  // namespace

bool OracleArbiter::is_passed(const Request& other, const Token& token) const {
  if (other.token == token || other.is_kept) return true;
  const auto is_open = [&](const Waiter::Wanted& wanted) {
    return std::none_of(locks_.begin(), locks_.end(), [&](const Lock& lock) {
      return lock.token == token && !lock.is_cooling && clash(lock, wanted);
    });
  };
  const auto open = std::count_if(other.wanted.begin(), other.wanted.end(), is_open);
  return static_cast<std::size_t>(open) < needed(other);
}

bool OracleArbiter::is_free(const Request& request, const Waiter::Wanted& wanted,
                            std::size_t before) const {
  for (const Lock& lock : locks_) {
    if ((lock.is_cooling || lock.token != request.token) && clash(lock, wanted)) return false;
  }
  if (request.is_upgrade) return true;
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
    for (std::size_t before = 0; before < place && !request.is_upgrade; ++before) {
      const Request& other = requests[before];
      if (other.token == to && !is_passed(other, request.token) && clash(other, wanted)) {
        return true;
      }
    }
  }
  return false;
}

/// Whether these requests of one lease wait for who waits for … that lease.
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

void OracleArbiter::note_change(const Token& token, const Waiter::Wanted& changed) {
  const bool is_wanted = std::any_of(requests_.begin(), requests_.end(), [&](const Request& other) {
    return !other.is_kept && other.token != token && clash(other, changed);
  });
  if (is_wanted) changed_.insert(token);
}

void OracleArbiter::refuse_deadlocks_of(const Token& token) {
  for (std::size_t place = requests_.size(); place-- > 0;) {
    if (requests_[place].token != token || !waits_for_itself({place}, requests_)) continue;
    decisions_.push_back({requests_[place].number, Outcome::deadlock, {}});
    requests_.erase(requests_.begin() + static_cast<std::ptrdiff_t>(place));
  }
}

bool OracleArbiter::has_deadlock() const {
  for (std::size_t place = 0; place < requests_.size(); ++place) {
    if (waits_for_itself({place}, requests_)) return true;
  }
  return false;
}

OracleArbiter::Decision OracleArbiter::acquire(const Request& asked, Instant wait, Instant now) {
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
    if (lease == leases_.end()) {
      if (ended != ended_.end() && ended->second != End::released) {
        return refused(Outcome::lease_ended);
      }
    } else {
      if (request.asked_owner && *request.asked_owner != lease->second.owner) {
        return refused(Outcome::token_in_use);
      }
      request.had_lease = true;
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
          return lock->order == held.front()->order && lock->lock_delay == request.lock_delay &&
                 lock->meta == request.meta &&
                 std::any_of(request.wanted.begin(), request.wanted.end(), [&](const auto& wanted) {
                   return wanted.packed_path == lock->packed_path && wanted.shape == lock->shape;
                 });
        };
        if (held.size() == needed(request) && std::all_of(held.begin(), held.end(), is_same) &&
            (!request.ttl || *request.ttl == lease->second.ttl)) {
          restart_clock(lease->second, now);
          return refused(Outcome::held_already);
        }
        decision.paths.clear();
        const Shape& had = held.front()->shape;
        const Shape& wants = request.wanted.front().shape;
        if (request.wanted.size() != 1 || had.mode == wants.mode ||
            had.lock_parents != wants.lock_parents || had.lock_children != wants.lock_children) {
          return refused(Outcome::token_in_use);
        }
        request.is_upgrade = true;
      }
    }
    std::set<std::uint64_t> given_up;
    for (std::size_t i = 0; i < requests_.size(); ++i) {
      const Request& other = requests_[i];
      if (other.token != request.token) continue;
      const auto equal = [](const auto& a, const auto& b) {
        return a.packed_path == b.packed_path && a.shape == b.shape;
      };
      if (other.any == request.any && other.ttl == request.ttl &&
          other.lock_delay == request.lock_delay && other.meta == request.meta &&
          (!request.asked_owner || other.owner == *request.asked_owner) &&
          std::equal(other.wanted.begin(), other.wanted.end(), request.wanted.begin(),
                     request.wanted.end(), equal)) {
        if (!other.is_kept) {
          decisions_.push_back({other.number, Outcome::superseded, {}});
          stop_waiting(i, now);
        }
        place = i;
        requests_[i].number = request.number;
        request = requests_[i];
        break;
      }
      const bool shares = std::any_of(other.wanted.begin(), other.wanted.end(), [&](const auto& a) {
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
    if (place < requests_.size()) {
      requests_.erase(requests_.begin() + static_cast<std::ptrdiff_t>(place));
    }
    decision = grant(request, free, now);
    settle(now);
    return decision;
  }
  if (wait.count() == 0) {
    settle(now);
    return refused(Outcome::blocked);
  }
  if (is_deadlock(request, place)) {
    if (place < requests_.size()) {
      requests_.erase(requests_.begin() + static_cast<std::ptrdiff_t>(place));
    }
    settle(now);
    return refused(Outcome::deadlock);
  }
  request.deadline = now + wait;
  request.is_kept = false;
  if (needed(request) < request.wanted.size()) changed_.insert(request.token);
  if (place < requests_.size()) {
    requests_[place] = request;
  } else {
    requests_.push_back(request);
  }
  settle(now);
  return refused(Outcome::queued);
}

OracleArbiter::Decision OracleArbiter::grant(const Request& request,
                                             const std::vector<std::size_t>& chosen, Instant now) {
  Decision decision{request.number, Outcome::granted, {}};
  const auto lease = leases_.find(request.token);
  const Fence order = ++last_order_;
  for (const std::size_t index : chosen) {
    const Waiter::Wanted& wanted = request.wanted[index];
    std::erase_if(locks_, [&](const Lock& lock) {
      const bool changes =
          !lock.is_cooling && lock.token == request.token && lock.packed_path == wanted.packed_path;
      if (changes) note_change(request.token, {lock.packed_path, lock.shape});
      return changes;
    });
    note_change(request.token, wanted);
    locks_.push_back({request.token, wanted.packed_path, wanted.shape, order, false, Instant{},
                      request.lock_delay,
                      lease == leases_.end() ? request.owner : lease->second.owner, request.meta});
    decision.paths.push_back(wanted.packed_path);
  }
  if (lease == leases_.end()) {
    leases_[request.token] =
        Lease{request.ttl.value_or(request.default_ttl), Instant::max(), request.owner};
    ended_.erase(request.token);
  } else if (request.ttl) {
    lease->second.ttl = *request.ttl;
  }
  restart_clock(leases_[request.token], now);
  return decision;
}

void OracleArbiter::restart_clock(Lease& lease, Instant now) const {
  lease.expires =
      lease.ttl.count() == 0 ? Instant::max() : now + std::chrono::milliseconds{lease.ttl.count()};
}

Arbiter::LeaseOutcome OracleArbiter::renew(const Token& token, std::optional<Milliseconds> ttl,
                                           Instant now) {
  const auto lease = leases_.find(token);
  if (lease == leases_.end()) {
    return ended_.contains(token) ? Arbiter::LeaseOutcome::ended : Arbiter::LeaseOutcome::unknown;
  }
  if (ttl) lease->second.ttl = *ttl;
  restart_clock(lease->second, now);
  return Arbiter::LeaseOutcome::living;
}

Arbiter::LeaseOutcome OracleArbiter::open_lease(const Token& token, const std::string& owner,
                                                Milliseconds ttl, Instant now) {
  const auto lease = leases_.find(token);
  if (lease != leases_.end()) {
    const bool is_same =
        lease->second.is_opened && lease->second.owner == owner && lease->second.ttl == ttl;
    if (!is_same) return Arbiter::LeaseOutcome::in_use;
    restart_clock(lease->second, now);
    return Arbiter::LeaseOutcome::living;
  }
  const auto ended = ended_.find(token);
  if (ended != ended_.end() && ended->second != End::released) return Arbiter::LeaseOutcome::ended;
  ended_.erase(token);
  restart_clock(leases_[token] = Lease{ttl, Instant::max(), owner, true}, now);
  return Arbiter::LeaseOutcome::opened;
}

bool OracleArbiter::acquire_for_seed(const Token& token, const Waiter::Wanted& wanted,
                                     const std::string& owner, Milliseconds ttl, Instant now) {
  const auto is_in_the_way = [&](const std::string& packed_path, const Shape& shape) {
    return (shape.mode == Mode::exclusive || wanted.shape.mode == Mode::exclusive) &&
           blocks(PathView{packed_path}, shape, wanted.path());
  };
  for (const Lock& lock : locks_) {
    if (is_in_the_way(lock.packed_path, lock.shape)) return false;
  }
  for (const Request& request : requests_) {
    if (request.is_kept) continue;
    for (const auto& its : request.wanted) {
      if (is_in_the_way(its.packed_path, its.shape)) return false;
    }
  }
  Request request;
  request.token = token;
  request.wanted = {wanted};
  request.owner = owner;
  request.ttl = ttl;
  grant(request, {0}, now);
  settle(now);
  return true;
}

/// One lock, or with no path the whole lease.
void OracleArbiter::end_locks(const Token& token, const std::string* packed_path, End reason,
                              Instant now) {
  for (std::size_t i = 0; i < locks_.size();) {
    Lock& lock = locks_[i];
    if (lock.token != token || lock.is_cooling ||
        (packed_path != nullptr && lock.packed_path != *packed_path)) {
      ++i;
      continue;
    }
    ended_locks_[{token, lock.packed_path}] = reason;
    note_change(token, {lock.packed_path, lock.shape});
    if (reason != End::released && lock.lock_delay.count() != 0) {
      lock.is_cooling = true;
      lock.cools_until = now + std::chrono::milliseconds{lock.lock_delay.count()};
      ++i;
    } else {
      locks_.erase(locks_.begin() + static_cast<std::ptrdiff_t>(i));
    }
  }
  const bool holds = std::any_of(locks_.begin(), locks_.end(), [&](const Lock& lock) {
    return lock.token == token && !lock.is_cooling;
  });
  const bool lives_on =
      holds || (packed_path != nullptr && reason == End::released && leases_.at(token).is_opened);
  forget_upgrades(token);
  if (lives_on) return;
  leases_.erase(token);
  ended_[token] = reason;
  if (reason == End::released) return;
  std::erase_if(requests_, [&](const Request& request) {
    if (request.token != token || !request.had_lease) return false;
    if (!request.is_kept) decisions_.push_back({request.number, Outcome::lease_ended, {}});
    return true;
  });
}

void OracleArbiter::forget_upgrades(const Token& token) {
  for (Request& request : requests_) {
    if (request.token != token || !request.is_upgrade) continue;
    request.is_upgrade = std::any_of(locks_.begin(), locks_.end(), [&](const Lock& lock) {
      return lock.token == token && !lock.is_cooling &&
             lock.packed_path == request.wanted.front().packed_path;
    });
    if (!request.is_upgrade) changed_.insert(token);
  }
}

Arbiter::ReleaseOutcome OracleArbiter::release(const Token& token, const std::string& packed_path,
                                               Instant now) {
  const bool holds = std::any_of(locks_.begin(), locks_.end(), [&](const Lock& lock) {
    return !lock.is_cooling && lock.token == token && lock.packed_path == packed_path;
  });
  if (holds) {
    end_locks(token, &packed_path, End::released, now);
    settle(now);
    return Arbiter::ReleaseOutcome::released;
  }
  if (const auto ended = ended_locks_.find({token, packed_path}); ended != ended_locks_.end()) {
    return ended->second == End::released ? Arbiter::ReleaseOutcome::released_before
                                          : Arbiter::ReleaseOutcome::lease_ended;
  }
  const bool others_hold = std::any_of(locks_.begin(), locks_.end(), [&](const Lock& lock) {
    return lock.packed_path == packed_path;
  });
  return others_hold ? Arbiter::ReleaseOutcome::wrong_token : Arbiter::ReleaseOutcome::not_held;
}

Arbiter::ReleaseOutcome OracleArbiter::release_all(const Token& token, Instant now) {
  if (leases_.contains(token)) {
    end_locks(token, nullptr, End::released, now);
    settle(now);
    return Arbiter::ReleaseOutcome::released;
  }
  const auto ended = ended_.find(token);
  if (ended == ended_.end()) return Arbiter::ReleaseOutcome::not_held;
  return ended->second == End::released ? Arbiter::ReleaseOutcome::released_before
                                        : Arbiter::ReleaseOutcome::lease_ended;
}

std::size_t OracleArbiter::force(const Arbiter::ForceFilter& filter, Instant now) {
  const auto fits = [&](const Lock& lock) {
    const PathView path{lock.packed_path};
    return (!filter.packed_path || lock.packed_path == *filter.packed_path) &&
           (!filter.packed_prefix || lock.packed_path == *filter.packed_prefix ||
            PathView{*filter.packed_prefix}.is_ancestor_of(path)) &&
           (!filter.owner || lock.owner == *filter.owner);
  };
  std::vector<Lock> chosen;
  std::copy_if(locks_.begin(), locks_.end(), std::back_inserter(chosen), fits);
  for (const Lock& lock : chosen) {
    if (lock.is_cooling) {
      std::erase_if(locks_, [&](const Lock& other) {
        return other.order == lock.order && other.packed_path == lock.packed_path;
      });
    } else {
      end_locks(lock.token, &lock.packed_path, End::forced, now);
    }
  }
  settle(now);
  return chosen.size();
}

void OracleArbiter::stop_waiting(std::size_t place, Instant now) {
  if (!requests_[place].is_chosen) {
    requests_.erase(requests_.begin() + static_cast<std::ptrdiff_t>(place));
    return;
  }
  requests_[place].is_kept = true;
  requests_[place].deadline = now + Arbiter::place_kept;
}

bool OracleArbiter::abandon(std::uint64_t number, Instant now) {
  for (std::size_t place = 0; place < requests_.size(); ++place) {
    if (requests_[place].number != number || requests_[place].is_kept) continue;
    stop_waiting(place, now);
    settle(now);
    return true;
  }
  return false;
}

std::vector<Instant> OracleArbiter::deadlines() const {
  std::vector<Instant> all;
  for (const auto& [token, lease] : leases_) {
    if (lease.expires != Instant::max()) all.push_back(lease.expires);
  }
  for (const Request& request : requests_) all.push_back(request.deadline);
  for (const Lock& lock : locks_) {
    if (lock.is_cooling) all.push_back(lock.cools_until);
  }
  std::sort(all.begin(), all.end());
  return all;
}

void OracleArbiter::advance(Instant now) {
  advance_once(now);
  settle(now);
}

void OracleArbiter::advance_once(Instant now) {
  for (const auto& [token, lease] : leases_) {
    if (lease.expires <= now) return end_locks(Token{token}, nullptr, End::expired, now);
  }
  const auto cooled = std::find_if(locks_.begin(), locks_.end(), [&](const Lock& lock) {
    return lock.is_cooling && lock.cools_until <= now;
  });
  if (cooled != locks_.end()) {
    locks_.erase(cooled);
    return;
  }
  for (std::size_t place = 0; place < requests_.size(); ++place) {
    if (requests_[place].deadline > now) continue;
    if (!requests_[place].is_kept) {
      decisions_.push_back({requests_[place].number, Outcome::blocked, {}});
      return stop_waiting(place, now);
    }
    requests_.erase(requests_.begin() + static_cast<std::ptrdiff_t>(place));
    return;
  }
}

void OracleArbiter::settle(Instant now) {
  for (std::size_t place = 0;;) {
    if (place == requests_.size()) {
      // Nobody can be granted any more.
      if (changed_.empty()) return;
      refuse_deadlocks_of(changed_.extract(changed_.begin()).value());
      place = 0;
      continue;
    }
    const Request request = requests_[place];
    const auto free = request.is_kept ? std::vector<std::size_t>{} : free_ones(request, place);
    if (request.is_kept || free.size() < needed(request)) {
      ++place;
      continue;
    }
    requests_.erase(requests_.begin() + static_cast<std::ptrdiff_t>(place));
    decisions_.push_back(grant(request, free, now));
    place = 0;
  }
}

std::vector<OracleArbiter::Decision> OracleArbiter::take_decisions() {
  auto taken = std::exchange(decisions_, {});
  std::sort(taken.begin(), taken.end());
  return taken;
}

}  // namespace locker::core
