#include <array>
#include <optional>
#include <span>

#include "core/clash.hpp"
#include "core/lock_table.hpp"
#include "core/lock_table_layout.hpp"

namespace locker::core {
namespace {

constexpr std::uint32_t null = UnitArena::null;
/// How many nodes are noted of one lease: enough for an ordinary one with the most locks allowed.
constexpr std::size_t noted_max = 200'000;

}  // namespace

std::uint32_t LockTable::oldest_of_others(std::span<const List* const> lists, std::size_t level,
                                          std::uint32_t own) const {
  std::uint32_t oldest = null;
  for (const List* list : lists) {
    std::uint32_t at = list->first;
    while (at != null && own != null && lock(at).lease == own) at = next_of(*list, at, level);
    if (at != null && (oldest == null || lock(at).id() < lock(oldest).id())) oldest = at;
  }
  return oldest;
}

/// Calls `visit(lists, level)` for each group of lists that can have a lock in the way, until it
/// returns true; in the order in which a lock is named as the reason.
template <typename Visit>
void LockTable::visit_lists_in_the_way(const AcquireRequest& request, const Found& found,
                                       const Visit& visit) const {
  const bool symmetric = request.rule == ClashRule::symmetric;
  const auto at_node = [&](std::size_t level, bool also_not_locking_children) {
    const Node& at = node(found.nodes[level]);
    if (at.has_none_here()) return false;
    const std::array<const List*, 2> lists{&at.here[1], &at.here[0]};
    return visit(std::span{lists.data(), also_not_locking_children ? 2U : 1U}, level);
  };
  const std::size_t level = found.level;
  if (found.is_whole() && at_node(level, true)) return;
  for (std::size_t above = found.is_whole() ? level : level + 1; above-- > 0;) {
    if (at_node(above, symmetric && request.shape.lock_parents)) return;
  }
  if (!found.is_whole()) return;
  const Node& at = node(found.nodes[level]);
  std::array<const List*, 4> lists{};
  std::size_t count = 0;
  for (const Mode mode : {Mode::exclusive, Mode::shared}) {
    if (!clash(mode, request.shape.mode)) continue;
    lists[count++] = &below(at).lists[below_index(mode, true)];
    if (symmetric && request.shape.lock_children) {
      lists[count++] = &below(at).lists[below_index(mode, false)];
    }
  }
  visit(std::span{lists.data(), count}, level);
}

std::uint32_t LockTable::find_blocker(const AcquireRequest& request) const {
  // Fetched during the search for the path; apply() needs it, too.
  if (request.token) prefetch_lease(*request.token);
  const Found& found = find_nodes(request.path);
  const std::uint32_t own = request.token ? find_lease(*request.token) : null;
  std::uint32_t blocking = null;
  visit_lists_in_the_way(request, found, [&](auto lists, std::size_t level) {
    // Apart from those of one lease, the locks at one node have one mode: the oldest of the others
    // stands for all.
    const std::uint32_t oldest = oldest_of_others(lists, level, own);
    if (oldest != null && clash(lock(oldest).shape().mode, request.shape.mode)) blocking = oldest;
    return blocking != null;
  });
  return blocking;
}

void LockTable::for_each_blocker(const AcquireRequest& request,
                                 const std::function<bool(const HeldLock&)>& visit,
                                 bool also_at_path) const {
  const std::uint32_t own = request.token ? find_lease(*request.token) : null;
  const Found found = find_nodes(request.path);  // a copy: `visit` may look up other paths
  const std::uint32_t left_out =
      !also_at_path && found.is_whole() ? found.nodes[found.level] : null;
  visit_lists_in_the_way(request, found, [&](auto lists, std::size_t level) {
    for (const List* list : lists) {
      const bool is_left_out =
          left_out != null && list->first != null && lock(list->first).node == left_out;
      if (is_left_out) continue;
      for (std::uint32_t at = list->first; at != null; at = next_of(*list, at, level)) {
        if (own != null && lock(at).lease == own) continue;
        // As in find_blocker(): it stands for the rest of the list.
        if (!clash(lock(at).shape().mode, request.shape.mode)) break;
        if (!visit(lock_at(at))) return true;
      }
    }
    return false;
  });
}

void LockTable::for_each_lock_at(PathView path,
                                 const std::function<bool(const HeldLock&)>& visit) const {
  const Found found = find_nodes(path);  // a copy: `visit` may look up other paths
  if (!found.is_whole()) return;
  const Node& at_path = node(found.nodes[found.level]);
  for (const List* list : {&at_path.here[1], &at_path.here[0]}) {
    for (std::uint32_t at = list->first; at != null; at = next_of(*list, at, found.level)) {
      if (!visit(lock_at(at))) return;
    }
  }
}

std::optional<HeldLock> LockTable::blocker(const AcquireRequest& request) const {
  return lock_unless_null(find_blocker(request));
}

std::optional<HeldLock> LockTable::legacy_blocker(PathView path) const {
  const AcquireRequest request{path, {}, ClashRule::holder_only, std::nullopt};
  return lock_unless_null(find_blocker(request));
}

/// Notes the next one of the lease's locks.
void LockTable::note_holding(std::uint32_t at) const {
  const Lock& held = lock(at);
  const Shape shape = held.shape();
  const auto note = [this](std::uint32_t of, unsigned bit) {
    std::uint8_t& bits = holdings_.nodes[of];
    const bool is_new = (bits & bit) == 0;
    bits = static_cast<std::uint8_t>(bits | bit);
    return is_new;
  };
  note(held.node, here_bit(shape.mode, shape.lock_children));
  const unsigned bit = below_bit(shape.mode, shape.lock_parents);
  // What is noted of a node is noted of all nodes above it, too.
  for (std::uint32_t above = held.node; above != root_;) {
    above = node(above).parent;
    if (!note(above, bit)) break;
  }
  holdings_.next = held.lease_next;
}

/// Whether one of the noted locks clashes with one of this shape.
bool LockTable::is_noted(const Found& found, const Shape& shape) const {
  for (std::size_t level = 0; level <= found.level; ++level) {
    const auto at = holdings_.nodes.find(found.nodes[level]);
    if (at == holdings_.nodes.end()) return false;  // nothing below it is noted either
    const bool is_own = level == found.depth;
    unsigned in_the_way = 0;
    for (const Mode mode : {Mode::exclusive, Mode::shared}) {
      if (!clash(mode, shape.mode)) continue;
      in_the_way |= here_bit(mode, true);
      if (is_own || shape.lock_parents) in_the_way |= here_bit(mode, false);
      if (is_own) in_the_way |= below_bit(mode, true);
      if (is_own && shape.lock_children) in_the_way |= below_bit(mode, false);
    }
    if ((at->second & in_the_way) != 0) return true;
  }
  return false;
}

bool LockTable::holds_clash(const LivingLease& of, PathView path, const Shape& shape) const {
  ++search_steps_;
  if (holdings_.lease != of.handle) {
    holdings_ = {of.handle, lease(of.handle).first_lock, {}};
  }
  const Found& found = find_nodes(path);
  if (is_noted(found, shape)) return true;
  bool is_found = false;
  std::uint32_t own = holdings_.next;
  visit_lists_in_the_way({path, shape}, found, [&](auto lists, std::size_t level) {
    for (const List* list : lists) {
      for (std::uint32_t at = list->first; at != null; at = next_of(*list, at, level)) {
        if (own == null) return true;
        ++search_steps_;
        is_found = lock(at).lease == of.handle && clash(lock(at).shape().mode, shape.mode);
        if (is_found) return true;
        const HeldLock held = lock_at(own);
        if (own == holdings_.next && holdings_.nodes.size() < noted_max) note_holding(own);
        own = lock(own).lease_next;
        is_found = core::clash(path_of(held), held.shape, path, shape);
        if (is_found) return true;
      }
    }
    return false;
  });
  return is_found;
}

}  // namespace locker::core
