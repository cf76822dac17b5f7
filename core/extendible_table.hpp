#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory_resource>
#include <vector>

#include "core/memory_chunks.hpp"
#include "core/prefetch.hpp"

namespace locker::core {

/// A hash table from 32-bit hashes to 32-bit values; the caller compares the keys. The hashes must
/// be well mixed and, where keys come from clients, seeded.
///
/// Extendible hashing (Fagin, Nievergelt, Pippenger, Strong 1979): a directory of small tables,
/// of which one is split in two when it fills up. So growing never stops the world: the longest
/// pause is the split of one bucket (1,024 slots, a few microseconds) or the doubling of the
/// directory (some twenty bytes for each 600 or so entries), not a rehash of everything. 14 bytes
/// an entry on the average. Does not shrink.
class ExtendibleTable {
 public:
  static constexpr std::uint32_t none = 0;

  /// Slots lie in memory of `memory`, which must outlive this.
  explicit ExtendibleTable(std::pmr::memory_resource* memory = std::pmr::get_default_resource());

  /// The value under this hash for which `same(value)` holds, or `none`.
  template <typename Same>
  [[nodiscard]] std::uint32_t find(std::uint32_t hash, Same&& same) const {
    const Slots& slots = slots_of(hash);
    for (std::size_t i = hash & slot_mask;; i = (i + 1) & slot_mask) {
      const Slot& slot = slots[i];
      if (slot.value == none) return none;
      if (slot.hash == hash && same(slot.value)) return slot.value;
    }
  }
  /// Fetches what find() will look at: several lookups then wait for memory once.
  void prefetch(std::uint32_t hash) const { core::prefetch(&slots_of(hash)[hash & slot_mask]); }
  /// The first value under this hash, whatever its key; or `none`. For prefetching what find() will
  /// compare.
  [[nodiscard]] std::uint32_t peek(std::uint32_t hash) const {
    const Slots& slots = slots_of(hash);
    for (std::size_t i = hash & slot_mask;; i = (i + 1) & slot_mask) {
      const Slot& slot = slots[i];
      if (slot.value == none || slot.hash == hash) return slot.value;
    }
  }
  /// REQUIRES: value != none, and no equal key is in the table.
  void insert(std::uint32_t hash, std::uint32_t value);
  /// REQUIRES: `value` was inserted under this hash.
  void erase(std::uint32_t hash, std::uint32_t value);
  [[nodiscard]] std::size_t size() const { return size_; }
  /// Of memory that it has taken.
  [[nodiscard]] std::size_t bytes() const {
    return buckets_.size() * sizeof(Slots) + buckets_.capacity() * sizeof(Bucket) +
           directory_.capacity() * sizeof(std::uint32_t);
  }
  /// Calls `visit` for each value, in no order that means anything. O(slots).
  template <typename Visit>
  void for_each(const Visit& visit) const {
    for (const Bucket& bucket : buckets_) {
      for (const Slot& slot : *bucket.slots) {
        if (slot.value != none) visit(slot.value);
      }
    }
  }

 private:
  struct Slot {
    std::uint32_t hash = 0;
    std::uint32_t value = none;
  };
  static constexpr std::size_t slot_count = 1024;
  static constexpr std::size_t slot_mask = slot_count - 1;
  // At 7/8, a search for what is not there looks at thirty slots instead of eight when all buckets
  // are about to split: with 200,000 locks, pairs of acquire and release take a third more time.
  static constexpr std::size_t entries_max = slot_count * 3 / 4;
  // The upper bits choose the bucket, the lower ten the slot; more bits there are not.
  static constexpr unsigned depth_max = 22;

  using Slots = std::array<Slot, slot_count>;

  // Apart from its slots: the counts of all buckets are then close together and stay in the cache.
  struct Bucket {
    Slots* slots = nullptr;
    std::uint32_t count = 0;
    unsigned depth = 0;  // how many bits of the directory this bucket answers to
  };

  [[nodiscard]] Bucket& bucket_of(std::uint32_t hash) {
    return buckets_[directory_[directory_index(hash)]];
  }
  [[nodiscard]] const Slots& slots_of(std::uint32_t hash) const {
    return *buckets_[directory_[directory_index(hash)]].slots;
  }
  [[nodiscard]] std::size_t directory_index(std::uint32_t hash) const {
    return static_cast<std::size_t>(std::uint64_t{hash} >> (32 - depth_));
  }
  /// Empty.
  [[nodiscard]] Slots* new_slots();
  static void insert_into(Bucket& bucket, std::uint32_t hash, std::uint32_t value);
  void split(std::uint32_t hash);

  MemoryChunks chunks_;
  std::size_t slots_left_ = 0;  // in the last chunk
  std::vector<Bucket> buckets_;
  std::vector<std::uint32_t> directory_;  // numbers of buckets
  unsigned depth_ = 0;
  std::size_t size_ = 0;
};

}  // namespace locker::core
