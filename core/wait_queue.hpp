#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "core/hash.hpp"
#include "core/lock.hpp"
#include "core/path.hpp"
#include "core/waiter.hpp"

namespace locker::core {

/// An index of the waiters by path: finds those that clash with a request. Arbiter decides which
/// are granted. Not thread-safe.
///
/// Each path prefix has an ordered map of the waiters for exactly that path and below it, by shape
/// and then ticket. So the last one before a ticket is found in O(depth x log n).
class WaitQueue {
 public:
  explicit WaitQueue(std::uint64_t hash_seed) : prefixes_(16, PrefixHash{Hash{hash_seed}}) {}

  void insert(Waiter& waiter);
  void erase(Waiter& waiter);
  [[nodiscard]] bool is_empty() const { return count_ == 0; }
  [[nodiscard]] std::size_t size() const { return count_; }

  struct Request {
    PathView path;
    Shape shape;
    ClashRule rule = ClashRule::symmetric;
    Ticket before = ~Ticket{0};
  };
  /// Returns the latest waiter before the request's ticket that clashes with it and for which
  /// `passes` returns false; null if there is none.
  [[nodiscard]] Waiter* latest_clash(const Request& request,
                                     const std::function<bool(const Waiter&)>& passes) const;
  /// Returns the latest waiter before the ticket that wants exactly the same lock; null if there is
  /// none, or if that one also wants others.
  [[nodiscard]] Waiter* latest_equal(PathView path, const Shape& shape, Ticket before) const;

  /// What visit_clashes() has already shown, so that a search visits each waiter once.
  using Seen = std::map<std::pair<const void*, unsigned>, Ticket>;
  /// Calls `visit` for every waiter that clashes with the request and was not seen, until it
  /// returns false. Waiters that were not shown after that count as seen, too.
  void visit_clashes(const Request& request, Seen& seen,
                     const std::function<bool(const Waiter&)>& visit) const;
  /// Calls `visit` for the waiters for exactly this path, in order of ticket, until it returns
  /// false.
  void visit_at(PathView path, const std::function<bool(const Waiter&)>& visit) const;
  [[nodiscard]] std::size_t count_at(PathView path) const;
  /// Returns how often latest_clash() has called `passes`: what its calls cost, to bound work.
  [[nodiscard]] std::uint64_t search_steps() const { return search_steps_; }

 private:
  static constexpr unsigned shapes = 8;
  /// group: 0 to 7 for waiters at the prefix itself, by shape; 8 to 15 for waiters below it. A
  /// waiter for several locks of one shape below a prefix has one entry.
  struct Key {
    unsigned group = 0;
    Ticket ticket = 0;
    friend auto operator<=>(const Key&, const Key&) = default;
  };
  using Entries = std::map<Key, Waiter*>;
  struct PrefixHash {
    using is_transparent = void;
    Hash hash;
    std::size_t operator()(std::string_view text) const { return hash.then(text).value(); }
  };

  [[nodiscard]] static unsigned index_of(const Shape& shape);
  template <typename Visit>
  void for_each_prefix(PathView path, const Visit& visit);
  template <typename Visit>
  void visit_groups(const Request& request, const Visit& visit) const;
  [[nodiscard]] const Entries* find(std::string_view prefix) const;

  std::unordered_map<std::string, Entries, PrefixHash, std::equal_to<>> prefixes_;
  std::size_t count_ = 0;
  mutable std::uint64_t search_steps_ = 0;
};

}  // namespace locker::core
