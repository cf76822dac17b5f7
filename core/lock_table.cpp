#include "core/lock_table.hpp"

#include <array>
#include <cstring>
#include <iterator>

#include "core/assert.hpp"
#include "core/lock_table_layout.hpp"
#include "core/prefetch.hpp"

namespace locker::core {
namespace {

constexpr std::uint32_t null = UnitArena::null;

/// A visitor of one function for each kind of record.
template <typename... Functions>
struct Overloaded : Functions... {
  using Functions::operator()...;
};
template <typename... Functions>
Overloaded(Functions...) -> Overloaded<Functions...>;  // clang 14 does not deduce it

/// Compares short pieces, which are the common ones, without a call.
bool is_same(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  if (a.size() > ShortPiece::size_max) return a == b;
  return ShortPiece{a} == ShortPiece{b};
}

}  // namespace

std::size_t LockTable::lock_units(std::size_t depth) {
  static_assert(UnitArena::units_for(sizeof(Lock) + (segments_max + 1) * sizeof(Link)) <=
                UnitArena::units_max);
  return UnitArena::units_for(sizeof(Lock) + (depth + 1) * sizeof(Link));
}

LockTable::LockTable(std::uint64_t hash_seed, std::pmr::memory_resource* memory)
    : hash_(hash_seed),
      arena_(memory),
      nodes_(memory),
      leases_(memory),
      nothing_below_(arena_.allocate(below_units)),
      root_(add_node(true)),
      found_lease_{{}, hash_token({}), null} {
  *arena_.at<Below>(nothing_below_) = {};
}

std::string_view LockTable::segment_of(const Node& of) const {
  if (of.segment_size <= sizeof of.segment) return {of.segment, of.segment_size};
  std::uint32_t block = 0;
  std::memcpy(&block, of.segment, sizeof block);
  return {arena_.at<char>(block), of.segment_size};
}

bool LockTable::is_child(std::uint32_t at, std::uint32_t parent, std::string_view segment) const {
  const Node& candidate = node(at);
  return candidate.parent == parent && is_same(segment_of(candidate), segment);
}

std::uint32_t LockTable::add_node(bool is_inner) {
  const std::uint32_t at = arena_.allocate(is_inner ? node_units + below_units : node_units);
  Node& added = node(at) = Node{};
  if (is_inner) {
    *reinterpret_cast<Below*>(&added + 1) = {};
  } else {
    added.below = nothing_below_;
  }
  return at;
}

std::uint32_t LockTable::add_child(std::uint32_t parent, std::string_view segment,
                                   std::uint32_t hash, bool is_inner) {
  const std::uint32_t at = add_node(is_inner);
  Node& added = node(at);
  added.parent = parent;
  added.segment_size = static_cast<std::uint8_t>(segment.size());
  if (segment.size() <= sizeof added.segment) {
    std::memcpy(added.segment, segment.data(), segment.size());
  } else {
    const std::uint32_t block = arena_.allocate(UnitArena::units_for(segment.size()));
    std::memcpy(arena_.at<char>(block), segment.data(), segment.size());
    std::memcpy(added.segment, &block, sizeof block);
  }
  nodes_.insert(hash, at);
  return at;
}

void LockTable::add_nodes(PathView path, Found& found) {
  PathView::Iterator segment = path.begin();
  std::advance(segment, found.level);
  for (; !found.is_whole(); ++found.level, ++segment) {
    const std::size_t level = found.level;
    found.nodes[level + 1] =
        add_child(found.nodes[level], *segment, found.hashes[level], level + 1 < found.depth);
  }
}

void LockTable::remove_node(std::uint32_t at, std::uint32_t hash) {
  const Node& removed = node(at);
  found_is_good_ = false;
  nodes_.erase(hash, at);
  if (removed.segment_size > sizeof removed.segment) {
    std::uint32_t block = 0;
    std::memcpy(&block, removed.segment, sizeof block);
    arena_.free(block, UnitArena::units_for(removed.segment_size));
  }
  if (removed.below == null) return arena_.free(at, node_units + below_units);
  if (removed.below != nothing_below_) arena_.free(removed.below, below_units);
  arena_.free(at, node_units);
}

/// For a node that was created as a leaf, and may still be one.
LockTable::Below& LockTable::separate_below_for(Node& of) {
  if (of.below == nothing_below_) {
    of.below = arena_.allocate(below_units);
    *arena_.at<Below>(of.below) = {};
  }
  return *arena_.at<Below>(of.below);
}

/// The result is valid until the next call, or until a node is removed.
LockTable::Found& LockTable::find_nodes(PathView path) const {
  if (found_is_good_ && found_path_ == path.packed()) return found_;
  found_path_ = path.packed();
  found_is_good_ = true;
  hash_segments(path, found_);
  found_.nodes[0] = root_;
  found_.level = 0;
  for (const std::string_view segment : path) {
    const std::uint32_t parent = found_.nodes[found_.level];
    std::uint32_t& child = found_.nodes[found_.level + 1];
    if (child != null && !is_child(child, parent, segment)) {
      child = nodes_.find(found_.hashes[found_.level],
                          [&](std::uint32_t at) { return is_child(at, parent, segment); });
    }
    if (child == null) break;
    ++found_.level;
  }
  return found_;
}

/// Like find_nodes(), for the path of a lock, from its node upwards.
const LockTable::Found& LockTable::find_nodes_of(const Lock& of) {
  if (found_is_good_ && found_.is_whole() && found_.nodes[found_.level] == of.node) return found_;
  found_is_good_ = false;
  found_.level = found_.depth = of.depth;
  std::uint32_t current = of.node;
  for (std::size_t level = found_.depth + 1; level-- > 0; current = node(current).parent) {
    found_.nodes[level] = current;
  }
  Hash hash = hash_;
  for (std::size_t level = 1; level <= found_.depth; ++level) {
    hash = hash.then(segment_of(node(found_.nodes[level])));
    found_.hashes[level - 1] = hash.folded();
  }
  return found_;
}

// With a million locks nearly every step down misses all caches. The hashes depend on the path
// only, so all levels are prefetched together: first their slots, then their nodes. That takes a
// third less time. found.nodes gets the first entry under each hash, which nearly always is the
// path's node, up to the first hash without an entry.
void LockTable::hash_segments(PathView path, Found& found) const {
  found.depth = 0;
  Hash hash = hash_;
  for (const std::string_view segment : path) {
    hash = hash.then(segment);
    found.hashes[found.depth] = hash.folded();
    nodes_.prefetch(found.hashes[found.depth++]);
  }
  for (std::size_t level = 0; level < found.depth; ++level) {
    const std::uint32_t at = found.nodes[level + 1] = nodes_.peek(found.hashes[level]);
    if (at == null) return;
    core::prefetch(&node(at));
  }
}

bool LockTable::is_watched(std::uint32_t at) const { return lock(at).is(Lock::bit_watched); }

void LockTable::watch(std::uint32_t at) { lock(at).set(Lock::bit_watched); }

void LockTable::link_pending(List& list, std::size_t level) {
  if (!list.is_pending) return;
  links(lock(links(lock(list.last))[level].previous))[level].next = list.last;
  list.is_pending = 0;
}

void LockTable::append(List& list, std::uint32_t at, Link& link, std::size_t level) {
  link_pending(list, level);
  link.previous = list.last;
  if (list.last == null) list.first = at;
  list.set_last(at, list.last != null);
}

void LockTable::remove(List& list, std::uint32_t at, const Link& link, std::size_t level) {
  if (at == list.last) {
    if (link.previous == null) list.first = null;
    return list.set_last(link.previous, false);
  }
  link_pending(list, level);
  (link.previous == null ? list.first : links(lock(link.previous))[level].next) = link.next;
  links(lock(link.next))[level].previous = link.previous;
}

/// Prefetches what append() will read.
void LockTable::prefetch_pending(const List& list, std::size_t level) const {
  if (list.is_pending) core::prefetch(&links(lock(list.last))[level]);
}

void LockTable::link_to_nodes(std::uint32_t at, const Found& found) {
  Lock& linked = lock(at);
  Link* const own = links(linked);
  const Shape shape = linked.shape();
  std::size_t level = linked.depth;
  append(node(linked.node).here[shape.lock_children ? 1 : 0], at, own[level], level);
  const std::size_t list = below_index(shape.mode, shape.lock_parents);
  while (level-- > 0) {
    append(below_for(node(found.nodes[level])).lists[list], at, own[level], level);
  }
}

void LockTable::unlink_from_nodes(std::uint32_t at) {
  Lock& unlinked = lock(at);
  if (unlinked.is(Lock::bit_under_cursor)) move_cursors_before(at);
  const Found& found = find_nodes_of(unlinked);
  const Link* const own = links(unlinked);
  const Shape shape = unlinked.shape();
  std::size_t level = unlinked.depth;
  remove(node(unlinked.node).here[shape.lock_children ? 1 : 0], at, own[level], level);
  const std::size_t list = below_index(shape.mode, shape.lock_parents);
  while (level-- > 0) {
    remove(below_for(node(found.nodes[level])).lists[list], at, own[level], level);
  }
  // A node is empty only if all nodes below it are.
  for (level = unlinked.depth; level > 0; --level) {
    if (!is_empty(node(found.nodes[level]))) break;
    remove_node(found.nodes[level], found.hashes[level - 1]);
  }
}

void LockTable::apply_kind(const Granted& granted) {
  LOCKER_ASSERT(granted.id > last_id_);
  last_id_ = granted.id;
  prefetch_lease(granted.token);
  Found& found = find_nodes(granted.path);
  const std::size_t list = below_index(granted.shape.mode, granted.shape.lock_parents);
  for (std::size_t level = 0; level <= found.level; ++level) {
    prefetch_pending(below(node(found.nodes[level])).lists[list], level);
  }
  if (!found.is_whole()) add_nodes(granted.path, found);
  const std::size_t depth = found.depth;
  const std::uint32_t at = arena_.allocate(lock_units(depth));
  Lock& added = lock(at) = Lock{};
  added.fence = granted.id.fence;
  added.position = granted.id.position;
  added.node = found.nodes[depth];
  added.depth = static_cast<std::uint8_t>(depth);
  added.set_shape(granted.shape);
  std::string_view owner;  // kept by the lock itself if it can outlast its lease
  if (granted.is_cooling) {
    added.set(Lock::bit_cooling);
    cooling_[granted.id] = at;
    owner = granted.owner;
  } else {
    const std::uint32_t owning = find_lease(granted.token);
    link_to_lease(at,
                  owning != null ? owning : add_lease(granted.token, granted.owner, granted.ttl));
    if (granted.lock_delay.count() != 0) {
      ++delayed_count_;
      owner = owner_of(lease(added.lease));
    }
  }
  set_details(at, granted.lock_delay, granted.meta, owner);
  link_to_nodes(at, found);
  ++lock_count_;
}

void LockTable::apply_kind(const LeaseOpened& opened) {
  LOCKER_ASSERT(opened.id > last_id_ && find_lease(opened.token) == null);
  last_id_ = opened.id;
  add_lease(opened.token, opened.owner, opened.ttl, opened.id.fence);
}

void LockTable::apply_kind(const TtlChanged& changed) {
  const std::uint32_t at = find_lease(changed.token);
  LOCKER_ASSERT(at != null);
  LeaseTerms& terms = terms_for(lease(at));
  set_terms(terms, changed.ttl, terms.opened_fence);
}

void LockTable::apply_kind(const Cooling& cooling, const EndedLock& held) {
  LOCKER_ASSERT(held && held->id == cooling.id);
  const std::uint32_t at = held->handle;
  delayed_count_ -= lock_delay_of(at).count() == 0 ? 0U : 1U;
  unlink_from_lease(at, cooling.reason);
  lock(at).set(Lock::bit_cooling);
  cooling_[cooling.id] = at;
}

void LockTable::apply_kind(const Ended& ended, const EndedLock& held) {
  if (!held) {
    const std::uint32_t opened = find_lease(ended.token);
    LOCKER_ASSERT(opened != null && lease(opened).first_lock == null);
    return remove_lease(opened);
  }
  LOCKER_ASSERT(held->id == ended.id);
  const std::uint32_t at = held->handle;
  if (held->is_cooling) {
    cooling_.erase(ended.id);
  } else {
    delayed_count_ -= lock_delay_of(at).count() == 0 ? 0U : 1U;
    unlink_from_lease(at, ended.reason);
  }
  unlink_from_nodes(at);
  free_details(at);
  const Lock& removed = lock(at);
  arena_.free(at, lock_units(removed.depth));
  --lock_count_;
}

void LockTable::set_details(std::uint32_t at, Milliseconds lock_delay, std::string_view meta,
                            std::string_view owner) {
  if (lock_delay.count() == 0 && meta.empty() && owner.empty()) return;
  const std::uint32_t block =
      arena_.allocate(UnitArena::units_for(sizeof(LockDetails) + owner.size() + meta.size()));
  LockDetails& details = *arena_.at<LockDetails>(block);
  details = {lock_delay.count(), static_cast<std::uint16_t>(meta.size()),
             static_cast<std::uint16_t>(owner.size())};
  char* const text = reinterpret_cast<char*>(&details + 1);
  owner.copy(text, owner.size());
  meta.copy(text + owner.size(), meta.size());
  lock(at).details = block;
}

void LockTable::free_details(std::uint32_t at) {
  const std::uint32_t block = lock(at).details;
  if (block == null) return;
  const LockDetails& details = *arena_.at<LockDetails>(block);
  arena_.free(block, UnitArena::units_for(sizeof details + details.owner_size + details.meta_size));
}

std::string_view LockTable::meta_of(const HeldLock& held) const {
  const std::uint32_t block = lock(held.handle).details;
  if (block == null) return {};
  const LockDetails& details = *arena_.at<LockDetails>(block);
  return {reinterpret_cast<const char*>(&details + 1) + details.owner_size, details.meta_size};
}

Milliseconds LockTable::lock_delay_of(const HeldLock& held) const {
  return lock_delay_of(held.handle);
}

Milliseconds LockTable::lock_delay_of(std::uint32_t at) const {
  const std::uint32_t block = lock(at).details;
  return Milliseconds{block == null ? 0 : arena_.at<LockDetails>(block)->lock_delay};
}

bool LockTable::fits(const Granted& granted) const {
  if (granted.id <= last_id_) return false;
  const std::uint32_t owning = find_lease(granted.token);
  return granted.is_cooling || owning == null || find_lock(owning, granted.path) == null;
}

bool LockTable::fits(const LeaseOpened& opened) const {
  return opened.id > last_id_ && find_lease(opened.token) == null;
}

bool LockTable::fits(const TtlChanged& changed) const { return find_lease(changed.token) != null; }

bool LockTable::fits(const Ended& ended, const EndedLock& held) const {
  if (held) return true;
  const auto opened = find_lease_of(ended.token);
  return opened && opened->opened == ended.id && ended.id.fence != 0 && !opened->has_locks;
}

void LockTable::apply(const Record& record, const EndedLock& ended) {
  std::visit(Overloaded{[&](const Cooling& cooling) { apply_kind(cooling, ended); },
                        [&](const Ended& end) { apply_kind(end, ended); },
                        [&](const auto& kind) { apply_kind(kind); }},
             record);
}

bool LockTable::try_apply(const Record& record, const EndedLock& ended) {
  const bool fits_in = std::visit(Overloaded{[&](const Cooling&) { return ended.has_value(); },
                                             [&](const Ended& end) { return fits(end, ended); },
                                             [&](const auto& kind) { return fits(kind); }},
                                  record);
  if (fits_in) apply(record, ended);
  return fits_in;
}

std::optional<HeldLock> LockTable::find_ended(const Record& record) {
  if (const auto* const cooling = std::get_if<Cooling>(&record)) {
    return lock_unless_null(find_lock(cooling->token, cooling->id));
  }
  const auto* const ended = std::get_if<Ended>(&record);
  if (ended == nullptr) return std::nullopt;
  // Cooling locks first: they have no token, that is one of zeros, and a lease with that token may
  // have very many locks.
  const auto cooling = cooling_.find(ended->id);
  return lock_unless_null(cooling != cooling_.end() ? cooling->second
                                                    : find_lock(ended->token, ended->id));
}

void LockTable::prefetch(const Record& record) const {
  std::visit([this](const auto& kind) { prefetch_lease(kind.token); }, record);
  const auto* const granted = std::get_if<Granted>(&record);
  if (granted == nullptr) return;
  Hash hash = hash_;
  for (const std::string_view segment : granted->path) {
    hash = hash.then(segment);
    nodes_.prefetch(hash.folded());
  }
}

HeldLock LockTable::lock_at(std::uint32_t at) const {
  const Lock& of = lock(at);
  if (!of.is(Lock::bit_cooling)) {
    return {of.id(), of.shape(), owner_of(lease(of.lease)), at, false};
  }
  std::string_view owner;
  if (of.details != null) {
    const LockDetails& details = *arena_.at<LockDetails>(of.details);
    owner = {reinterpret_cast<const char*>(&details + 1), details.owner_size};
  }
  return {of.id(), of.shape(), owner, at, true};
}

std::optional<HeldLock> LockTable::lock_unless_null(std::uint32_t at) const {
  if (at == null) return std::nullopt;
  return lock_at(at);
}

Path LockTable::path_of(const HeldLock& held) const {
  const Lock& of = lock(held.handle);
  std::array<std::uint32_t, segments_max> nodes;
  std::uint32_t current = of.node;
  for (std::size_t level = of.depth; level-- > 0; current = node(current).parent) {
    nodes[level] = current;
  }
  Path path;
  for (std::size_t level = 0; level < of.depth; ++level) {
    const Path::Push pushed = path.push_back(segment_of(node(nodes[level])));
    LOCKER_ASSERT(pushed == Path::Push::ok);
  }
  return path;
}

const Token& LockTable::token_of(const HeldLock& held) const {
  const std::uint32_t at = lock(held.handle).lease;
  LOCKER_ASSERT(at != null);
  return lease(at).token;
}

std::optional<HeldLock> LockTable::oldest() const {
  const Node& root = node(root_);
  std::array<const List*, 6> lists{};
  for (std::size_t list = 0; list < lists.size(); ++list) lists[list] = &list_of(root, list);
  return lock_unless_null(oldest_of_others(lists, 0, null));
}

void LockTable::for_each_lock(const std::function<void(const HeldLock&)>& visit) const {
  // The root's lists contain all locks, each list in order of grant: a merge of six.
  const Node& root = node(root_);
  std::array<std::uint32_t, 6> next;
  for (std::size_t list = 0; list < 6; ++list) next[list] = list_of(root, list).first;
  while (true) {
    std::size_t oldest = next.size();
    for (std::size_t list = 0; list < next.size(); ++list) {
      if (next[list] == null) continue;
      if (oldest == next.size() || lock(next[list]).id() < lock(next[oldest]).id()) oldest = list;
    }
    if (oldest == next.size()) return;
    visit(lock_at(next[oldest]));
    next[oldest] = next_of(list_of(root, oldest), next[oldest], 0);
  }
}

}  // namespace locker::core
