#include "core/wait_queue.hpp"

#include <algorithm>
#include <array>
#include <iterator>
#include <optional>

#include "core/clash.hpp"

namespace locker::core {
namespace {

Shape shape_at(unsigned index) {
  return {(index & 1U) != 0 ? Mode::shared : Mode::exclusive, (index & 2U) != 0, (index & 4U) != 0};
}

}  // namespace

unsigned WaitQueue::index_of(const Shape& shape) {
  return (shape.mode == Mode::shared ? 1U : 0U) | (shape.lock_parents ? 2U : 0U) |
         (shape.lock_children ? 4U : 0U);
}

template <typename Visit>
void WaitQueue::for_each_prefix(PathView path, const Visit& visit) {
  const std::string_view packed = path.packed();
  visit(packed, true);
  std::size_t size = 0;
  for (const std::string_view segment : path) {
    visit(packed.substr(0, size), false);
    size += 1 + segment.size();
  }
}

void WaitQueue::insert(Waiter& waiter) {
  for (const Wanted& wanted : waiter.wanted) {
    const unsigned shape = index_of(wanted.shape);
    for_each_prefix(wanted.path(), [&](std::string_view prefix, bool is_own) {
      auto at = prefixes_.find(prefix);
      if (at == prefixes_.end()) at = prefixes_.emplace(std::string{prefix}, Entries{}).first;
      // Most come last, but in their group and not in the map: a hint would not help.
      at->second.emplace(Key{is_own ? shape : shapes + shape, waiter.ticket}, &waiter);
    });
  }
  ++count_;
}

void WaitQueue::erase(Waiter& waiter) {
  for (const Wanted& wanted : waiter.wanted) {
    const unsigned shape = index_of(wanted.shape);
    for_each_prefix(wanted.path(), [&](std::string_view prefix, bool is_own) {
      const auto at = prefixes_.find(prefix);
      if (at == prefixes_.end()) return;  // erased with another of its locks
      at->second.erase(Key{is_own ? shape : shapes + shape, waiter.ticket});
      if (at->second.empty()) prefixes_.erase(at);
    });
  }
  --count_;
}

const WaitQueue::Entries* WaitQueue::find(std::string_view prefix) const {
  const auto at = prefixes_.find(prefix);
  return at == prefixes_.end() ? nullptr : &at->second;
}

/// Calls `visit(entries, group)` for each group all of whose members clash with the request.
template <typename Visit>
void WaitQueue::visit_groups(const Request& request, const Visit& visit) const {
  const bool symmetric = request.rule == ClashRule::symmetric;
  const std::string_view packed = request.path.packed();
  std::size_t size = 0;
  for (const std::string_view segment : request.path) {
    if (const Entries* const entries = find(packed.substr(0, size))) {
      for (unsigned index = 0; index < shapes; ++index) {
        const Shape shape = shape_at(index);
        const bool reaches = shape.lock_children || (symmetric && request.shape.lock_parents);
        if (reaches && clash(shape.mode, request.shape.mode)) visit(*entries, index);
      }
    }
    size += 1 + segment.size();
  }
  const Entries* const entries = find(packed);
  if (entries == nullptr) return;
  for (unsigned index = 0; index < shapes; ++index) {
    const Shape shape = shape_at(index);
    if (!clash(shape.mode, request.shape.mode)) continue;
    visit(*entries, index);
    const bool reaches = shape.lock_parents || (symmetric && request.shape.lock_children);
    if (reaches) visit(*entries, shapes + index);
  }
}

Waiter* WaitQueue::latest_clash(const Request& request,
                                const std::function<bool(const Waiter&)>& passes) const {
  Waiter* latest = nullptr;
  visit_groups(request, [&](const Entries& entries, unsigned group) {
    auto at = entries.lower_bound(Key{group, request.before});
    while (at != entries.begin() && (--at)->first.group == group) {
      if (latest != nullptr && at->first.ticket <= latest->ticket) return;
      ++search_steps_;
      if (passes(*at->second)) continue;
      latest = at->second;
      return;
    }
  });
  return latest;
}

Waiter* WaitQueue::latest_equal(PathView path, const Shape& shape, Ticket before) const {
  const Entries* const entries = find(path.packed());
  if (entries == nullptr) return nullptr;
  const unsigned group = index_of(shape);
  const auto behind = entries->lower_bound(Key{group, before});
  if (behind == entries->begin()) return nullptr;
  const auto& [key, latest] = *std::prev(behind);
  return key.group == group && latest->wanted.size() == 1 ? latest : nullptr;
}

void WaitQueue::visit_clashes(const Request& request, Seen& seen,
                              const std::function<bool(const Waiter&)>& visit) const {
  bool goes_on = true;
  visit_groups(request, [&](const Entries& entries, unsigned group) {
    Ticket& up_to = seen[{&entries, group}];
    for (auto at = entries.lower_bound(Key{group, up_to});
         goes_on && at != entries.end() && at->first.group == group &&
         at->first.ticket < request.before;
         ++at) {
      goes_on = visit(*at->second);
    }
    up_to = std::max(up_to, request.before);
  });
}

void WaitQueue::visit_at(PathView path, const std::function<bool(const Waiter&)>& visit) const {
  const Entries* const entries = find(path.packed());
  if (entries == nullptr) return;
  std::array<Entries::const_iterator, shapes> next;
  for (unsigned group = 0; group < shapes; ++group) next[group] = entries->lower_bound({group, 0});
  while (true) {
    std::optional<unsigned> first;
    for (unsigned group = 0; group < shapes; ++group) {
      if (next[group] == entries->end() || next[group]->first.group != group) continue;
      if (!first || next[group]->first.ticket < next[*first]->first.ticket) first = group;
    }
    if (!first || !visit(*next[*first]->second)) return;
    ++next[*first];
  }
}

std::size_t WaitQueue::count_at(PathView path) const {
  const Entries* const entries = find(path.packed());
  if (entries == nullptr) return 0;
  return static_cast<std::size_t>(
      std::distance(entries->begin(), entries->lower_bound({shapes, 0})));
}

}  // namespace locker::core
