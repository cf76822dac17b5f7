#include "tests/histories/lock_model.hpp"

#include <algorithm>

#include "tests/histories/rules.hpp"

namespace locker::histories {
namespace {

using Kind_ = Record::Kind;

const std::vector<std::size_t> no_places;

template <typename Map, typename Key>
const std::vector<std::size_t>& places_in(const Map& map, const Key& key) {
  const auto at = map.find(key);
  return at == map.end() ? no_places : at->second;
}

}  // namespace

std::int64_t LockModel::Lease::ttl_ms(Index at) const {
  std::int64_t ttl = 0;
  for (const auto& [index, changed] : ttls) {
    if (index <= at) ttl = changed;
  }
  return ttl;
}

LockModel::LockModel(const std::vector<Record>& journal, const Asked& asked,
                     const Timeline& timeline, Faults& faults)
    : journal_(journal), asked_(asked), timeline_(timeline), faults_(faults) {
  locks_.reserve(journal.size());  // the maps point into them
  leases_.reserve(journal.size());
  for (const Record& record : journal) {
    if (record.index != static_cast<Index>(&record - journal.data()) + 1) {
      fault(record, "is where index " + std::to_string(&record - journal.data() + 1) +
                        " should be; the journal is not whole");
      break;
    }
    apply(record);
  }
  first_possible_.resize(journal.size() + 1);
  is_state_.resize(journal.size() + 1, true);
  for (Index index = 1; index <= journal.size(); ++index) {
    first_possible_[index] = can_be_consequence(index) ? first_possible_[index - 1] : index;
    is_state_[index] = !belongs_to_next(record(index));
  }
}

void LockModel::fault(const Record& record, const std::string& sentence) {
  faults_.add("record " + std::to_string(record.index) + ", " + std::string{name_of(record.kind)} +
              " " + record.path + " fence " + std::to_string(record.fence) + ": " + sentence);
}

void LockModel::apply(const Record& record) {
  switch (record.kind) {
    case Kind_::granted:
      return grant(record);
    case Kind_::lease_opened:
      return open(record);
    case Kind_::ttl_changed:
      return change_ttl(record);
    default:
      return end(record);
  }
}

LockModel::Lease* LockModel::find_living(const Record& record) {
  const auto at = living_.find(record.lease);
  return at == living_.end() ? nullptr : &leases_[at->second];
}

const Record* LockModel::next(const Record& record) const {
  return record.index < journal_.size() ? &journal_[record.index] : nullptr;
}

void LockModel::grant(const Record& record) {
  const Record* const before = record.index > 1 ? &journal_[record.index - 2] : nullptr;
  const bool goes_on = before != nullptr && before->kind == Kind_::granted &&
                       before->fence == record.fence && before->lease == record.lease &&
                       before->position + 1 == record.position;
  if (!goes_on && (record.fence <= last_fence_ || record.position != 0)) {
    fault(record, "its fence does not rise; the one before was " + std::to_string(last_fence_));
  }
  last_fence_ = std::max(last_fence_, record.fence);

  Lease* lease = find_living(record);
  const bool is_fresh = lease == nullptr;
  if (is_fresh) {
    Lease& opened = leases_.emplace_back();
    opened.number = record.lease;
    opened.owner = record.owner;
    opened.from = record.index;
    opened.ttls.emplace_back(record.index, record.ttl_ms);
    living_[record.lease] = leases_.size() - 1;
    leases_by_owner_[opened.owner].push_back(leases_.size() - 1);
    lease = &opened;
  }
  check_grant(record, *lease, is_fresh);
  ++lease->locks;
  Lock& lock = locks_.emplace_back();
  lock.fence = record.fence;
  lock.position = record.position;
  lock.lease = static_cast<std::size_t>(lease - leases_.data());
  lock.path = record.path;
  lock.shape = record.shape;
  lock.owner = record.owner;
  lock.lock_delay_ms = record.lock_delay_ms;
  lock.meta = record.meta;
  lock.inherits_until = inherits_until(record);
  lock.from = record.index;
  held_.push_back(locks_.size() - 1);
  locks_by_owner_[lock.owner].push_back(locks_.size() - 1);
  locks_by_fence_[lock.fence].push_back(locks_.size() - 1);
}

Nanoseconds LockModel::inherits_until(const Record& record) const {
  // A lock that this changes was lost just before; one that it was to change may have been lost
  // while the request waited.
  Nanoseconds until = 0;
  for (const std::size_t place : locks_of(record.owner)) {
    const Lock& lock = locks_[place];
    const bool is_such = leases_[lock.lease].number == record.lease && lock.path == record.path &&
                         lock.meta == record.meta && lock.lock_delay_ms == record.lock_delay_ms;
    if (!is_such || lock.lost_at() > record.index) continue;
    until = std::max(until, timeline_.latest(lock.lost_at()));
  }
  return until;
}

Asked::Request LockModel::find_request(const Record& record) const {
  return asked_.find_request({record.owner,
                              {record.path, record.shape},
                              record.meta,
                              record.lock_delay_ms,
                              record.fence,
                              inherits_until(record)});
}

void LockModel::check_grant(const Record& record, const Lease& lease, bool is_fresh) {
  const Operation* const request = find_request(record).first;
  if (request == nullptr) return fault(record, "nobody asked for it");
  if (request->sent > timeline_.latest(record.index)) {
    fault(record, "it was asked for later, in line " + std::to_string(request->line));
  }
  if (lease.owner != record.owner || lease.ttl_ms(record.index) != record.ttl_ms) {
    fault(record, "owner or TTL are not those of its lease");
  }
  const bool by_canhaz = request->kind == Kind::canhaz;
  if (by_canhaz && !is_fresh) fault(record, "canhaz always makes a lease of its own");
  for (const std::size_t place : held_) {
    const Lock& other = locks_[place];
    const bool is_own = leases_[other.lease].number == record.lease && other.cools_from == never;
    if (is_own && other.path == record.path) fault(record, "its lease holds the path already");
    if (is_own) continue;
    const bool clashes = by_canhaz ? blocks(other.path, other.shape, record.path)
                                   : clash(other.path, other.shape, record.path, record.shape);
    if (clashes) {
      fault(record, "overlaps " + other.path + " fence " + std::to_string(other.fence) + " of " +
                        other.owner);
    }
  }
}

void LockModel::open(const Record& record) {
  if (record.fence <= last_fence_) fault(record, "its fence does not rise");
  last_fence_ = std::max(last_fence_, record.fence);
  if (find_living(record) != nullptr) return fault(record, "the lease lives already");
  const auto& all = asked_.about(record.owner);
  const bool was_asked = std::any_of(all.begin(), all.end(), [&record](const auto* operation) {
    return operation->kind == Kind::open_lease && operation->ttl_ms.value_or(0) == record.ttl_ms;
  });
  if (!was_asked) fault(record, "nobody asked for it");
  Lease& lease = leases_.emplace_back();
  lease.number = record.lease;
  lease.owner = record.owner;
  lease.from = record.index;
  lease.opened = record.fence;
  lease.ttls.emplace_back(record.index, record.ttl_ms);
  living_[record.lease] = leases_.size() - 1;
  leases_by_owner_[lease.owner].push_back(leases_.size() - 1);
}

void LockModel::change_ttl(const Record& record) {
  Lease* const lease = find_living(record);
  if (lease == nullptr) return fault(record, "there is no such lease");
  lease->ttls.emplace_back(record.index, record.ttl_ms);
}

void LockModel::end(const Record& record) {
  const auto at = std::find_if(held_.begin(), held_.end(), [&](std::size_t place) {
    return locks_[place].fence == record.fence && locks_[place].position == record.position;
  });
  if (at != held_.end()) {
    const std::size_t lock = *at;
    if (record.kind != Kind_::cooling) held_.erase(at);
    return end_lock(record, lock);
  }
  Lease* const lease = find_living(record);
  if (lease == nullptr || lease->opened != record.fence || record.kind == Kind_::cooling) {
    return fault(record, "nothing like that is held");
  }
  if (lease->locks != 0) fault(record, "the lease still has locks");
  end_lease(record, *lease);
}

void LockModel::end_lock(const Record& record, std::size_t place) {
  Lock& lock = locks_[place];
  const bool was_cooling = lock.cools_from != never;
  if (record.kind != Kind_::cooling) lock.until = record.index;
  if (was_cooling) {
    if (record.kind != Kind_::cooled && record.kind != Kind_::forced) {
      fault(record, "no lease has it any more, it was cooling");
    }
    return;
  }
  Lease& lease = leases_[lock.lease];
  if (lease.number != record.lease) fault(record, "it was held by another lease");
  lock.end = record.kind;
  switch (record.kind) {
    case Kind_::cooling:
      if (lock.lock_delay_ms == 0) fault(record, "it has no lock-delay");
      lock.cools_from = record.index;
      lock.end = record.is_forced ? Kind_::forced : Kind_::expired;
      break;
    case Kind_::cooled:
      fault(record, "it was not cooling");
      break;
    case Kind_::forced:
    case Kind_::expired:
      if (lock.lock_delay_ms != 0) fault(record, "it has a lock-delay and should be cooling");
      break;
    case Kind_::changed: {
      const Record* const now = next(record);
      if (now == nullptr || now->kind != Kind_::granted || now->lease != record.lease ||
          now->path != lock.path || now->shape.is_shared == lock.shape.is_shared) {
        fault(record, "no lock of another mode takes its place");
      } else if (now->meta != lock.meta || now->lock_delay_ms != lock.lock_delay_ms) {
        fault(record, "with its mode its meta or its lock-delay has changed");
      }
      --lease.locks;
      return;
    }
    default:
      break;
  }
  if (--lease.locks == 0 && lease.opened == 0) end_lease(record, lease);
}

void LockModel::end_lease(const Record& record, Lease& lease) {
  lease.until = record.index;
  lease.end = record.kind;
  if (record.kind == Kind_::cooling) lease.end = record.is_forced ? Kind_::forced : Kind_::expired;
  living_.erase(record.lease);
}

/// Whether nobody can have decided between this record and the next: they are one decision.
bool LockModel::belongs_to_next(const Record& record) const {
  const Record* const now = next(record);
  if (now == nullptr || now->lease != record.lease || record.lease == 0) return false;
  const auto is_expiry = [](const Record& each) {
    return each.kind == Kind_::expired || (each.kind == Kind_::cooling && !each.is_forced);
  };
  return (record.kind == Kind_::granted && now->fence == record.fence &&
          now->kind == Kind_::granted) ||
         record.kind == Kind_::changed || (is_expiry(record) && is_expiry(*now));
}

bool LockModel::can_be_consequence(Index index) const {
  const Record& record = this->record(index);
  switch (record.kind) {
    case Kind_::expired:
    case Kind_::cooled:
      return true;
    case Kind_::cooling:
      return !record.is_forced;
    case Kind_::granted:
      return find_request(record).can_have_waited;
    case Kind_::changed:
    case Kind_::ttl_changed: {
      const Record* const now = next(record);
      return now != nullptr && now->lease == record.lease &&
             (now->kind == Kind_::granted || now->kind == Kind_::changed) &&
             can_be_consequence(index + 1);
    }
    default:
      return false;
  }
}

const std::vector<std::size_t>& LockModel::locks_of(std::string_view owner) const {
  return places_in(locks_by_owner_, owner);
}

const std::vector<std::size_t>& LockModel::locks_with(Fence fence) const {
  return places_in(locks_by_fence_, fence);
}

const std::vector<std::size_t>& LockModel::leases_of(std::string_view owner) const {
  return places_in(leases_by_owner_, owner);
}

const LockModel::Lease* LockModel::living_lease(std::string_view owner, Index at) const {
  for (const std::size_t place : leases_of(owner)) {
    if (leases_[place].is_living(at)) return &leases_[place];
  }
  return nullptr;
}

const LockModel::Lease* LockModel::ended_lease(std::string_view owner, Index at) const {
  const Lease* last = nullptr;
  for (const std::size_t place : leases_of(owner)) {
    if (leases_[place].until <= at) last = &leases_[place];
  }
  return last;
}

}  // namespace locker::histories
