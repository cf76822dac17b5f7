#include "core/lock_table.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <vector>

#include "core/assert.hpp"
#include "core/lock_table_layout.hpp"

namespace locker::core {
namespace {

constexpr std::uint32_t null = UnitArena::null;

__extension__ using Wide = unsigned __int128;

/// Mixes by the 128-bit product, whose halves depend on all bits of both factors.
std::uint64_t mix(std::uint64_t a, std::uint64_t b) {
  const Wide product = static_cast<Wide>(a) * b;
  return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64U);
}
constexpr std::uint64_t odd_a = 0x9E3779B97F4A7C15;  // 2^64 / golden ratio
constexpr std::uint64_t odd_b = 0xD1342543DE82EF95;

bool clash(Mode a, Mode b) { return a == Mode::exclusive || b == Mode::exclusive; }

}  // namespace

const std::size_t LockTable::node_units = UnitArena::units_for(sizeof(Node));
const std::size_t LockTable::lease_units = UnitArena::units_for(sizeof(Lease));

std::size_t LockTable::lock_units(std::size_t depth) {
  static_assert(UnitArena::units_for(sizeof(Lock) + (segments_max + 1) * sizeof(Link)) <=
                UnitArena::units_max);
  return UnitArena::units_for(sizeof(Lock) + (depth + 1) * sizeof(Link));
}

LockTable::LockTable(std::uint64_t hash_seed)
    : hash_seed_(mix(hash_seed ^ odd_a, odd_b)), root_(arena_.allocate(node_units)) {
  node(root_) = Node{};
}

std::uint32_t LockTable::hash_segment(std::uint32_t parent, std::string_view segment) const {
  std::uint64_t hash = mix(hash_seed_ ^ parent, odd_a ^ segment.size());
  while (segment.size() >= 8) {
    std::uint64_t word = 0;
    std::memcpy(&word, segment.data(), 8);
    hash = mix(hash ^ word, odd_b);
    segment.remove_prefix(8);
  }
  std::uint64_t word = 0;
  std::memcpy(&word, segment.data(), segment.size());
  hash = mix(hash ^ word, odd_a);
  return static_cast<std::uint32_t>(hash >> 32U) ^ static_cast<std::uint32_t>(hash);
}

std::uint32_t LockTable::hash_token(const Token& token) const {
  std::uint64_t halves[2];
  std::memcpy(halves, token.bytes.data(), sizeof halves);
  const std::uint64_t hash = mix(mix(hash_seed_ ^ halves[0], odd_b) ^ halves[1], odd_a);
  return static_cast<std::uint32_t>(hash >> 32U) ^ static_cast<std::uint32_t>(hash);
}

std::string_view LockTable::segment_of(const Node& of) const {
  if (of.segment_size <= sizeof of.segment) return {of.segment, of.segment_size};
  std::uint32_t block = 0;
  std::memcpy(&block, of.segment, sizeof block);
  return {arena_.at<char>(block), of.segment_size};
}

std::uint32_t LockTable::find_child(std::uint32_t parent, std::string_view segment) const {
  return nodes_.find(hash_segment(parent, segment), [&](std::uint32_t at) {
    const Node& candidate = node(at);
    return candidate.parent == parent && segment_of(candidate) == segment;
  });
}

std::uint32_t LockTable::add_child(std::uint32_t parent, std::string_view segment) {
  const std::uint32_t at = arena_.allocate(node_units);
  Node& added = node(at) = Node{};
  added.parent = parent;
  added.segment_size = static_cast<std::uint8_t>(segment.size());
  if (segment.size() <= sizeof added.segment) {
    std::memcpy(added.segment, segment.data(), segment.size());
  } else {
    const std::uint32_t block = arena_.allocate(UnitArena::units_for(segment.size()));
    std::memcpy(arena_.at<char>(block), segment.data(), segment.size());
    std::memcpy(added.segment, &block, sizeof block);
  }
  nodes_.insert(hash_segment(parent, segment), at);
  return at;
}

void LockTable::remove_node(std::uint32_t at) {
  const Node& removed = node(at);
  const std::string_view segment = segment_of(removed);
  nodes_.erase(hash_segment(removed.parent, segment), at);
  if (removed.segment_size > sizeof removed.segment) {
    std::uint32_t block = 0;
    std::memcpy(&block, removed.segment, sizeof block);
    arena_.free(block, UnitArena::units_for(removed.segment_size));
  }
  arena_.free(at, node_units);
}

std::uint32_t LockTable::find_lease(const Token& token) const {
  return leases_.find(hash_token(token),
                      [&](std::uint32_t at) { return lease(at).token == token; });
}

std::uint32_t LockTable::add_lease(const Token& token, std::string_view owner) {
  const std::uint32_t at = arena_.allocate(lease_units);
  Lease& added = lease(at) = Lease{};
  added.token = token;
  if (!owner.empty()) {
    added.owner = arena_.allocate(UnitArena::units_for(owner.size() + 1));
    char* const bytes = arena_.at<char>(added.owner);
    bytes[0] = static_cast<char>(owner.size());
    std::memcpy(bytes + 1, owner.data(), owner.size());
  }
  leases_.insert(hash_token(token), at);
  return at;
}

void LockTable::remove_lease(std::uint32_t at) {
  const Lease& removed = lease(at);
  leases_.erase(hash_token(removed.token), at);
  if (removed.owner != null) {
    arena_.free(removed.owner, UnitArena::units_for(owner_of(removed).size() + 1));
  }
  arena_.free(at, lease_units);
}

std::string_view LockTable::owner_of(const Lease& of) const {
  if (of.owner == null) return {};
  const char* const bytes = arena_.at<char>(of.owner);
  return {bytes + 1, static_cast<std::uint8_t>(bytes[0])};
}

std::uint32_t LockTable::find_lock(const Token& token, LockId id) const {
  const std::uint32_t owning = find_lease(token);
  if (owning == null) return null;
  std::uint32_t at = lease(owning).first_lock;
  while (at != null && lock(at).id() != id) at = lock(at).lease_next;
  return at;
}

std::uint32_t LockTable::find_lock(const Token& token, PathView path) const {
  const std::uint32_t owning = find_lease(token);
  if (owning == null) return null;
  const Found found = find_nodes(path);
  if (!found.whole) return null;
  std::uint32_t at = lease(owning).first_lock;
  while (at != null && lock(at).node != found.nodes[found.level]) at = lock(at).lease_next;
  return at;
}

LockTable::Found LockTable::find_nodes(PathView path) const {
  Found found;
  found.nodes[0] = root_;
  for (const std::string_view segment : path) {
    const std::uint32_t child = find_child(found.nodes[found.level], segment);
    if (child == null) {
      found.whole = false;
      break;
    }
    found.nodes[++found.level] = child;
  }
  return found;
}

std::uint32_t LockTable::oldest_of_others(std::span<const List* const> lists, std::size_t level,
                                          std::uint32_t own) const {
  std::uint32_t oldest = null;
  for (const List* list : lists) {
    std::uint32_t at = list->first;
    while (at != null && own != null && lock(at).lease == own) at = links(lock(at))[level].next;
    if (at != null && (oldest == null || lock(at).id() < lock(oldest).id())) oldest = at;
  }
  return oldest;
}

std::uint32_t LockTable::find_blocker(const AcquireRequest& request) const {
  const std::uint32_t own = request.token ? find_lease(*request.token) : null;
  const bool symmetric = request.rule == ClashRule::symmetric;
  const Found found = find_nodes(request.path);
  // At one node there are locks of one mode only, but for those of one lease: whichever is the
  // oldest of the others speaks for all.
  const auto at_node = [&](std::size_t level, bool also_not_locking_children) {
    const Node& at = node(found.nodes[level]);
    const std::array<const List*, 2> lists{&at.here[1], &at.here[0]};
    const std::span considered{lists.data(), also_not_locking_children ? 2U : 1U};
    const std::uint32_t blocking = oldest_of_others(considered, level, own);
    return blocking != null && clash(lock(blocking).shape().mode, request.shape.mode) ? blocking
                                                                                      : null;
  };
  std::size_t level = found.level;
  if (found.whole) {
    if (const std::uint32_t here = at_node(level, true); here != null) return here;
  }
  for (std::size_t above = found.whole ? level : level + 1; above-- > 0;) {
    const std::uint32_t over = at_node(above, symmetric && request.shape.lock_parents);
    if (over != null) return over;
  }
  if (!found.whole) return null;
  const Node& at = node(found.nodes[level]);
  std::array<const List*, 4> lists{};
  std::size_t count = 0;
  for (const Mode mode : {Mode::exclusive, Mode::shared}) {
    if (!clash(mode, request.shape.mode)) continue;
    lists[count++] = &at.below[below_index(mode, true)];
    if (symmetric && request.shape.lock_children) {
      lists[count++] = &at.below[below_index(mode, false)];
    }
  }
  return oldest_of_others({lists.data(), count}, level, own);
}

std::optional<HeldLock> LockTable::blocker(const AcquireRequest& request) const {
  return describe_if(find_blocker(request));
}

std::optional<HeldLock> LockTable::covering(PathView path) const {
  const AcquireRequest request{path, {}, ClashRule::holder_only, std::nullopt};
  return describe_if(find_blocker(request));
}

std::optional<HeldLock> LockTable::held_by(const Token& token, PathView path) const {
  return describe_if(find_lock(token, path));
}

void LockTable::append(List& list, std::uint32_t at, std::size_t level) {
  links(lock(at))[level] = {list.last, null};
  (list.last == null ? list.first : links(lock(list.last))[level].next) = at;
  list.last = at;
}

void LockTable::remove(List& list, std::uint32_t at, std::size_t level) {
  const Link link = links(lock(at))[level];
  (link.previous == null ? list.first : links(lock(link.previous))[level].next) = link.next;
  (link.next == null ? list.last : links(lock(link.next))[level].previous) = link.previous;
}

void LockTable::link_to_nodes(std::uint32_t at) {
  const Lock& linked = lock(at);
  const Shape shape = linked.shape();
  append(node(linked.node).here[shape.lock_children ? 1 : 0], at, linked.depth);
  std::uint32_t above = node(linked.node).parent;
  for (std::size_t level = linked.depth; level-- > 0; above = node(above).parent) {
    append(node(above).below[below_index(shape.mode, shape.lock_parents)], at, level);
  }
}

void LockTable::unlink_from_nodes(std::uint32_t at) {
  const Lock& unlinked = lock(at);
  const Shape shape = unlinked.shape();
  std::uint32_t current = unlinked.node;
  remove(node(current).here[shape.lock_children ? 1 : 0], at, unlinked.depth);
  for (std::size_t level = unlinked.depth; level-- > 0;) {
    const std::uint32_t above = node(current).parent;
    remove(node(above).below[below_index(shape.mode, shape.lock_parents)], at, level);
    if (node(current).is_empty()) remove_node(current);
    current = above;
  }
}

void LockTable::apply(const Granted& granted) {
  LOCKER_ASSERT(granted.id > last_id_);
  last_id_ = granted.id;
  std::uint32_t at_node = root_;
  std::size_t depth = 0;
  for (const std::string_view segment : granted.path) {
    const std::uint32_t child = find_child(at_node, segment);
    at_node = child != null ? child : add_child(at_node, segment);
    ++depth;
  }
  std::uint32_t owning = find_lease(granted.token);
  if (owning == null) owning = add_lease(granted.token, granted.owner);

  const std::uint32_t at = arena_.allocate(lock_units(depth));
  Lock& added = lock(at) = Lock{};
  added.fence = granted.id.fence;
  added.position = granted.id.position;
  added.node = at_node;
  added.lease = owning;
  added.depth = static_cast<std::uint8_t>(depth);
  added.set_shape(granted.shape);
  Lease& of = lease(owning);
  added.lease_previous = of.last_lock;
  (of.last_lock == null ? of.first_lock : lock(of.last_lock).lease_next) = at;
  of.last_lock = at;
  link_to_nodes(at);
  ++lock_count_;
}

void LockTable::apply(const Ended& ended) {
  const std::uint32_t at = find_lock(ended.token, ended.id);
  LOCKER_ASSERT(at != null);
  const Lock& removed = lock(at);
  Lease& of = lease(removed.lease);
  (removed.lease_previous == null ? of.first_lock : lock(removed.lease_previous).lease_next) =
      removed.lease_next;
  (removed.lease_next == null ? of.last_lock : lock(removed.lease_next).lease_previous) =
      removed.lease_previous;
  if (of.first_lock == null) remove_lease(removed.lease);
  unlink_from_nodes(at);
  arena_.free(at, lock_units(removed.depth));
  --lock_count_;
}

bool LockTable::try_apply(const Record& record) {
  if (const auto* granted = std::get_if<Granted>(&record)) {
    if (granted->id <= last_id_ || find_lock(granted->token, granted->path) != null) return false;
    apply(*granted);
    return true;
  }
  const auto& ended = std::get<Ended>(record);
  if (find_lock(ended.token, ended.id) == null) return false;
  apply(ended);
  return true;
}

HeldLock LockTable::describe(std::uint32_t at) const {
  const Lock& of = lock(at);
  return {of.id(), of.shape(), owner_of(lease(of.lease)), at};
}

std::optional<HeldLock> LockTable::describe_if(std::uint32_t at) const {
  if (at == null) return std::nullopt;
  return describe(at);
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
    LOCKER_ASSERT(path.push_back(segment_of(node(nodes[level]))) == Path::Push::ok);
  }
  return path;
}

const Token& LockTable::token_of(const HeldLock& held) const {
  return lease(lock(held.handle).lease).token;
}

void LockTable::for_each_lock(const std::function<void(const HeldLock&)>& visit) const {
  // The root's lists hold everything, each in order of grant: a merge of six.
  const Node& root = node(root_);
  std::array<std::uint32_t, 6> next{root.here[0].first,  root.here[1].first,  root.below[0].first,
                                    root.below[1].first, root.below[2].first, root.below[3].first};
  while (true) {
    std::uint32_t* oldest = nullptr;
    for (std::uint32_t& candidate : next) {
      if (candidate == null) continue;
      if (oldest == nullptr || lock(candidate).id() < lock(*oldest).id()) oldest = &candidate;
    }
    if (oldest == nullptr) return;
    visit(describe(*oldest));
    *oldest = links(lock(*oldest))[0].next;
  }
}

}  // namespace locker::core
