#include <map>
#include <string>
#include <utility>

#include "tests/histories/check.hpp"

namespace locker::histories {
namespace {

using Id = std::pair<Fence, unsigned>;
/// Locks, and leases that were opened by themselves.
using Openings = std::map<Id, std::string>;

/// Of a grant's record, or of the model's lock.
template <typename Lock>
std::string describe_lock(const Lock& lock, bool is_cooling, std::int64_t ttl_ms) {
  const Shape& shape = lock.shape;
  return lock.path + (shape.is_shared ? " shared" : " exclusive") +
         (shape.lock_parents ? " parents" : "") + (shape.lock_children ? " children" : "") +
         " of " + lock.owner + (is_cooling ? ", cooling" : ", TTL " + std::to_string(ttl_ms)) +
         ", lock-delay " + std::to_string(lock.lock_delay_ms) + ", meta '" + lock.meta + "'";
}

std::string describe_lease(const std::string& owner, std::int64_t ttl_ms) {
  return "the lease of " + owner + ", TTL " + std::to_string(ttl_ms);
}

Openings read_openings(const std::vector<Record>& store, Faults& faults) {
  struct Read {
    const Record* grant = nullptr;
    bool is_cooling = false;
  };
  std::map<Id, Read> held;
  std::map<Id, const Record*> opened;
  std::map<std::uint64_t, std::int64_t> ttls;  // by lease
  for (const Record& record : store) {
    const Id id{record.fence, record.position};
    switch (record.kind) {
      case Record::Kind::granted:
        held[id] = {&record, record.is_cooling};
        ttls[record.lease] = record.ttl_ms;
        break;
      case Record::Kind::lease_opened:
        opened[id] = &record;
        ttls[record.lease] = record.ttl_ms;
        break;
      case Record::Kind::ttl_changed:
        ttls[record.lease] = record.ttl_ms;
        break;
      case Record::Kind::cooling:
        if (!held.contains(id)) {
          faults.add("the store has the cooling of a lock that it lost");
        } else {
          held[id].is_cooling = true;
        }
        break;
      default:
        held.erase(id);
        opened.erase(id);
        break;
    }
  }
  Openings openings;
  for (const auto& [id, lock] : held) {
    openings[id] = describe_lock(*lock.grant, lock.is_cooling, ttls[lock.grant->lease]);
  }
  for (const auto& [id, lease] : opened) {
    openings[id] = describe_lease(lease->owner, ttls[lease->lease]);
  }
  return openings;
}

Openings openings_of(const LockModel& model) {
  Openings openings;
  const Index now = model.last_index();
  for (const LockModel::Lock& lock : model.locks()) {
    if (!lock.is_there(now)) continue;
    openings[{lock.fence, lock.position}] =
        describe_lock(lock, lock.is_cooling(now), model.leases()[lock.lease].ttl_ms(now));
  }
  for (const LockModel::Lease& lease : model.leases()) {
    if (lease.opened == 0 || !lease.is_living(now)) continue;
    openings[{lease.opened, 0U}] = describe_lease(lease.owner, lease.ttl_ms(now));
  }
  return openings;
}

}  // namespace

void check_store(const std::vector<Record>& store, const LockModel& model, Faults& faults) {
  if (store.empty()) return;
  const Openings read = read_openings(store, faults);
  const Openings expected = openings_of(model);
  for (const auto& [id, opening] : expected) {
    const auto at = read.find(id);
    const std::string fence = " with fence " + std::to_string(id.first);
    if (at == read.end()) {
      faults.add("the store has lost " + opening + fence);
    } else if (at->second != opening) {
      faults.add("the store has " + at->second + fence + " instead of " + opening);
    }
  }
  for (const auto& [id, opening] : read) {
    if (expected.contains(id)) continue;
    faults.add("the store still has " + opening + " with fence " + std::to_string(id.first));
  }
}

}  // namespace locker::histories
