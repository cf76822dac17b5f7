#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <memory_resource>
#include <vector>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "core/memory_chunks.hpp"
#include "core/prefetch.hpp"

namespace locker::core {

/// A hash table from 32-bit hashes to 32-bit values; the caller compares the keys. The hashes must
/// be well mixed and, if clients choose the keys, seeded.
///
/// Extendible hashing (Fagin, Nievergelt, Pippenger, Strong 1979): a directory of small tables, the
/// buckets, each of which is split in two when it fills up. Growth never stops the world: the
/// longest pause is the split of one bucket (7,000 slots, some 60 microseconds) or the doubling of
/// the directory (some twenty bytes for each 4,000 or so entries), not a full rehash. 18 bytes per
/// entry on average. Does not shrink.
///
/// A bucket is an array of cache lines of seven entries, which are compared all at once. An entry
/// that finds its line full goes to the next one, and each line counts the entries that passed it,
/// so that a search knows where to stop (as in F14, by Bronson and Shi 2019). The loops of linear
/// probing end after a different number of steps each time, so each end is a branch misprediction:
/// with a million locks an acquire-release pair took 1.36 times as long.
///
/// Entries pass only full lines: when an entry is erased from a line, one of those that passed it
/// moves back. Otherwise lines that were full once would lengthen every search, and after as many
/// insertions and erasures as there are entries there might be no line left that ends one.
class ExtendibleTable {
 public:
  static constexpr std::uint32_t none = 0;

  /// Buckets are allocated from `memory`, which must outlive this.
  explicit ExtendibleTable(std::pmr::memory_resource* memory = std::pmr::get_default_resource());

  /// Returns the value under this hash for which `same(value)` holds, or `none`.
  template <typename Same>
  [[nodiscard]] std::uint32_t find(std::uint32_t hash, Same&& same) const {
    const Lines& lines = lines_of(hash);
    for (std::size_t at = hash & line_mask;; at = after(at)) {
      const Line& line = lines[at];
      for (Entries found = line.with(hash); found != 0; found &= found - 1) {
        const std::uint32_t value = line.values[first_of(found)];
        if (same(value)) return value;
      }
      if (line.passed == 0) return none;
    }
  }
  /// Prefetches what find() will read, so that several lookups wait for memory only once.
  void prefetch(std::uint32_t hash) const { core::prefetch(&lines_of(hash)[hash & line_mask]); }
  /// Returns a value under this hash, whatever its key, or `none`. For prefetching what find() will
  /// compare.
  [[nodiscard]] std::uint32_t peek(std::uint32_t hash) const {
    return find(hash, [](std::uint32_t) { return true; });
  }
  /// REQUIRES: value != none, and no equal key is in the table.
  void insert(std::uint32_t hash, std::uint32_t value);
  /// REQUIRES: `value` was inserted under this hash.
  void erase(std::uint32_t hash, std::uint32_t value);
  [[nodiscard]] std::size_t size() const { return size_; }
  /// The memory that it has taken.
  [[nodiscard]] std::size_t bytes() const {
    return buckets_.size() * sizeof(Lines) + buckets_.capacity() * sizeof(Bucket) +
           directory_.capacity() * sizeof(std::uint32_t);
  }
  /// How many lines the longest possible search walks. O(slots).
  [[nodiscard]] std::size_t longest_search() const;
  /// Calls `visit` for each value, in no particular order. O(slots).
  template <typename Visit>
  void for_each(const Visit& visit) const {
    for (const Bucket& bucket : buckets_) {
      for (const Line& line : *bucket.lines) {
        for (Entries used = line.used; used != 0; used &= used - 1) {
          visit(line.values[first_of(used)]);
        }
      }
    }
  }

 private:
  using Entries = std::uint32_t;  // a set of a line's entries, one bit each
  [[nodiscard]] static std::size_t first_of(Entries entries) {
    return static_cast<std::size_t>(std::countr_zero(entries));
  }

  struct alignas(64) Line {
    static constexpr std::size_t size = 7;
    static constexpr Entries all = (1U << size) - 1;

    std::uint32_t hashes[size] = {};
    Entries used = 0;
    std::uint32_t values[size] = {};
    std::uint32_t passed = 0;  ///< How many entries are in a later line because this one is full.

    [[nodiscard]] Entries with(std::uint32_t hash) const {
#ifdef __SSE2__
      // Four at a time: 1.15 times as many acquire-release pairs per second. The eighth word is
      // `used`, whose bit is never set in itself.
      const __m128i wanted = _mm_set1_epi32(static_cast<int>(hash));
      const auto equal = [&](const std::uint32_t* four) {
        const __m128i there = _mm_load_si128(reinterpret_cast<const __m128i*>(four));
        return static_cast<Entries>(
            _mm_movemask_ps(_mm_castsi128_ps(_mm_cmpeq_epi32(wanted, there))));
      };
      return (equal(hashes) | equal(hashes + 4) << 4U) & used;
#else
      Entries found = 0;
      for (std::size_t i = 0; i < size; ++i) found |= static_cast<Entries>(hashes[i] == hash) << i;
      return found & used;
#endif
    }
  };
  // So many that the directory and the buckets of ten million locks fit into a core's cache: with
  // an eighth of the lines, a search has two more cache misses, and takes 1.1 times as long.
  static constexpr std::size_t line_count = 1024;
  static constexpr std::size_t line_mask = line_count - 1;
  // At a load of 6/7 a search walks twice as many lines.
  static constexpr std::size_t entries_max = line_count * Line::size * 5 / 7;
  // The lower ten bits of a hash choose the line, which leaves 22 to choose the bucket.
  static constexpr unsigned depth_max = 22;

  using Lines = std::array<Line, line_count>;

  // Separate from its lines, so that the counts of all buckets lie together and stay in the cache.
  struct Bucket {
    Lines* lines = nullptr;
    std::uint32_t count = 0;
    unsigned depth = 0;  // how many of the directory's bits select this bucket
  };

  [[nodiscard]] Bucket& bucket_of(std::uint32_t hash) {
    return buckets_[directory_[directory_index(hash)]];
  }
  [[nodiscard]] const Lines& lines_of(std::uint32_t hash) const {
    return *buckets_[directory_[directory_index(hash)]].lines;
  }
  [[nodiscard]] std::size_t directory_index(std::uint32_t hash) const {
    return static_cast<std::size_t>(std::uint64_t{hash} >> (32 - depth_));
  }
  [[nodiscard]] static std::size_t after(std::size_t line) { return (line + 1) & line_mask; }
  [[nodiscard]] static std::size_t distance(std::size_t line, std::size_t later) {
    return (later - line) & line_mask;
  }
  /// Returns empty lines.
  [[nodiscard]] Lines* new_lines();
  static void insert_into(Bucket& bucket, std::uint32_t hash, std::uint32_t value);
  static void fill_from_later(Lines& lines, std::size_t hole);
  [[nodiscard]] static Entries passing(const Lines& lines, std::size_t passed, std::size_t at);
  void split(std::uint32_t hash);

  MemoryChunks chunks_;
  std::size_t places_left_ = 0;  // how many Lines fit into the rest of the last chunk
  std::vector<Bucket> buckets_;
  std::vector<std::uint32_t> directory_;  // numbers of buckets
  unsigned depth_ = 0;
  std::size_t size_ = 0;
};

}  // namespace locker::core
