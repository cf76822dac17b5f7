#pragma once

#include <cstddef>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "core/deadline_queue.hpp"
#include "core/extendible_table.hpp"
#include "core/hash.hpp"
#include "core/lock.hpp"
#include "core/path.hpp"

namespace locker::core {

/// Remembers for a while how locks and leases ended, so that a repeated release succeeds, and a
/// holder that lost its lease learns why. Keeps the last `capacity` ends of both together, each for
/// `memory_span` at most.
class EndedMemory {
 public:
  static constexpr std::size_t capacity = 262'144;
  static constexpr Duration memory_span = std::chrono::minutes{10};

  struct Ended {
    End reason = End::released;
    Fence fence = 0;     ///< Of a lock.
    std::string detail;  ///< Why it was forced, in the administrator's words.
  };

  explicit EndedMemory(std::uint64_t hash_seed) : hash_(hash_seed) {}
  void remember_lock(const Token& token, PathView path, const Ended& ended, Instant now);
  void remember_lease(const Token& token, const Ended& ended, Instant now);
  [[nodiscard]] std::optional<Ended> find_lock(const Token& token, PathView path,
                                               Instant now) const;
  [[nodiscard]] std::optional<Ended> find_lease(const Token& token, Instant now) const;
  /// The approximate memory that it has taken. O(1).
  [[nodiscard]] std::size_t memory_bytes() const {
    return ring_.size() * sizeof(Entry) + slots_.bytes() + 2 * details_.size() * map_node_bytes +
           detail_bytes_;
  }
  /// To be called when the token opens a lease again.
  void forget_lease(const Token& token);

 private:
  struct Entry {
    Token token;
    std::uint64_t key = 0;  // hash of token and path
    Instant when{};
    Fence fence = 0;
    End reason = End::released;
    bool is_used = false;
    std::uint32_t detail = 0;  // the number of its detail; zero: none
  };
  struct Detail {
    std::string text;
    std::size_t entries = 0;
  };
  [[nodiscard]] Hash hash_of(const Token& token) const;
  [[nodiscard]] std::uint64_t key_of(const Token& token, PathView path) const;
  void remember(const Token& token, std::uint64_t key, const Ended& ended, Instant now);
  void forget(const Token& token, std::uint64_t key);
  [[nodiscard]] std::optional<Ended> find(const Token& token, std::uint64_t key, Instant now) const;
  [[nodiscard]] std::uint32_t find_slot(const Token& token, std::uint64_t key) const;

  std::uint32_t add_detail(const std::string& text);
  void drop_detail(std::uint32_t number);

  Hash hash_;
  std::deque<Entry> ring_;  // grows up to the capacity, without copying
  // Each text once: a force gives the same text to everything that it ends.
  std::map<std::uint32_t, Detail> details_;
  std::map<std::string_view, std::uint32_t> detail_numbers_;
  std::uint32_t last_detail_ = 0;
  std::size_t detail_bytes_ = 0;  // of the texts
  std::size_t next_ = 0;
  ExtendibleTable slots_;  // key -> position in the ring, counted from 1
};

}  // namespace locker::core
