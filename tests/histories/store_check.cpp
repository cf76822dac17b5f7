#include <map>
#include <string>
#include <utility>

#include "tests/histories/check.hpp"

namespace locker::histories {
namespace {

using Id = std::pair<Fence, unsigned>;
using Locks = std::map<Id, std::string>;

std::string describe(const std::string& path, const Shape& shape, const std::string& owner,
                     bool is_cooling, std::int64_t ttl_ms) {
  return path + (shape.is_shared ? " shared" : " exclusive") +
         (shape.lock_parents ? " parents" : "") + (shape.lock_children ? " children" : "") +
         " of " + owner + (is_cooling ? ", cooling" : ", TTL " + std::to_string(ttl_ms));
}

Locks read_locks(const std::vector<Record>& store, Faults& faults) {
  struct Read {
    const Record* grant = nullptr;
    bool is_cooling = false;
  };
  std::map<Id, Read> held;
  std::map<std::uint64_t, std::int64_t> ttls;  // by lease
  for (const Record& record : store) {
    const Id id{record.fence, record.position};
    switch (record.kind) {
      case Record::Kind::granted:
        held[id] = {&record, record.is_cooling};
        ttls[record.lease] = record.ttl_ms;
        break;
      case Record::Kind::lease_opened:
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
        break;
    }
  }
  Locks locks;
  for (const auto& [id, lock] : held) {
    const Record& grant = *lock.grant;
    locks[id] = describe(grant.path, grant.shape, grant.owner, lock.is_cooling, ttls[grant.lease]);
  }
  return locks;
}

Locks locks_of(const LockModel& model) {
  Locks locks;
  const Index now = model.last_index();
  for (const LockModel::Lock& lock : model.locks()) {
    if (!lock.is_there(now)) continue;
    locks[{lock.fence, lock.position}] =
        describe(lock.path, lock.shape, lock.owner, lock.is_cooling(now),
                 model.leases()[lock.lease].ttl_ms(now));
  }
  return locks;
}

}  // namespace

void check_store(const std::vector<Record>& store, const LockModel& model, Faults& faults) {
  if (store.empty()) return;
  const Locks read = read_locks(store, faults);
  const Locks expected = locks_of(model);
  for (const auto& [id, lock] : expected) {
    const auto at = read.find(id);
    const std::string fence = " with fence " + std::to_string(id.first);
    if (at == read.end()) {
      faults.add("the store has lost " + lock + fence);
    } else if (at->second != lock) {
      faults.add("the store has " + at->second + fence + " instead of " + lock);
    }
  }
  for (const auto& [id, lock] : read) {
    if (expected.contains(id)) continue;
    faults.add("the store still has " + lock + " with fence " + std::to_string(id.first));
  }
}

}  // namespace locker::histories
