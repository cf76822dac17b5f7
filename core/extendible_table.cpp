#include "core/extendible_table.hpp"

#include <algorithm>
#include <new>
#include <utility>

#include "core/assert.hpp"

namespace locker::core {

ExtendibleTable::ExtendibleTable(std::pmr::memory_resource* memory)
    : chunks_(memory), buckets_{{new_lines()}}, directory_{0} {}

ExtendibleTable::Lines* ExtendibleTable::new_lines() {
  static_assert(MemoryChunks::chunk_bytes % sizeof(Lines) == 0);
  static_assert(MemoryChunks::chunk_alignment % alignof(Lines) == 0);
  constexpr std::size_t places_in_chunk = MemoryChunks::chunk_bytes / sizeof(Lines);
  if (places_left_ == 0) {
    chunks_.add();
    places_left_ = places_in_chunk;
  }
  std::byte* const place =
      chunks_[chunks_.size() - 1] + (places_in_chunk - places_left_--) * sizeof(Lines);
  return new (place) Lines{};
}

void ExtendibleTable::insert_into(Bucket& bucket, std::uint32_t hash, std::uint32_t value) {
  Lines& lines = *bucket.lines;
  std::size_t at = hash & line_mask;
  for (; lines[at].used == Line::all; at = after(at)) ++lines[at].passed;
  Line& line = lines[at];
  const std::size_t entry = first_of(~line.used);
  line.used |= 1U << entry;
  line.hashes[entry] = hash;
  line.values[entry] = value;
  ++bucket.count;
}

void ExtendibleTable::insert(std::uint32_t hash, std::uint32_t value) {
  LOCKER_ASSERT(value != none);
  while (bucket_of(hash).count >= entries_max) split(hash);
  insert_into(bucket_of(hash), hash, value);
  ++size_;
}

void ExtendibleTable::split(std::uint32_t hash) {
  const std::uint32_t lower = directory_[directory_index(hash)];
  const unsigned depth = buckets_[lower].depth;
  LOCKER_ASSERT(depth < depth_max);
  if (depth == depth_) {
    std::vector<std::uint32_t> doubled(directory_.size() * 2);
    for (std::size_t i = 0; i < doubled.size(); ++i) doubled[i] = directory_[i / 2];
    directory_ = std::move(doubled);
    ++depth_;
  }
  // The directory's entries for one bucket are contiguous; the second half goes to the new bucket.
  const std::size_t span = std::size_t{1} << (depth_ - depth);
  const std::size_t first = directory_index(hash) & ~(span - 1);
  const auto upper = static_cast<std::uint32_t>(buckets_.size());
  buckets_.push_back({new_lines()});
  for (std::size_t i = first + span / 2; i < first + span; ++i) directory_[i] = upper;

  const Lines full = std::exchange(*buckets_[lower].lines, Lines{});
  buckets_[lower].count = 0;
  buckets_[lower].depth = buckets_[upper].depth = depth + 1;
  for (const Line& line : full) {
    for (Entries used = line.used; used != 0; used &= used - 1) {
      const std::size_t entry = first_of(used);
      insert_into(bucket_of(line.hashes[entry]), line.hashes[entry], line.values[entry]);
    }
  }
}

void ExtendibleTable::erase(std::uint32_t hash, std::uint32_t value) {
  Bucket& bucket = bucket_of(hash);
  for (std::size_t at = hash & line_mask;; at = after(at)) {
    Line& line = (*bucket.lines)[at];
    for (Entries found = line.with(hash); found != 0; found &= found - 1) {
      if (line.values[first_of(found)] != value) continue;
      line.used &= ~(found & -found);
      --bucket.count;
      --size_;
      return fill_from_later(*bucket.lines, at);
    }
    LOCKER_ASSERT(line.passed != 0);
    --line.passed;
  }
}

/// Fills the hole in a line with an entry that passed it; that leaves a hole in a later line, and
/// so on.
void ExtendibleTable::fill_from_later(Lines& lines, std::size_t hole) {
  while (lines[hole].passed != 0) {
    --lines[hole].passed;
    std::size_t at = after(hole);
    Entries found = passing(lines, hole, at);
    for (; found == 0; found = passing(lines, hole, at)) {
      --lines[at].passed;
      at = after(at);
    }
    const std::size_t from = first_of(found);
    const std::size_t to = first_of(~lines[hole].used);
    lines[hole].hashes[to] = lines[at].hashes[from];
    lines[hole].values[to] = lines[at].values[from];
    lines[hole].used |= 1U << to;
    lines[at].used &= ~(1U << from);
    hole = at;
  }
}

/// Returns the entries of line `at` that passed the earlier line `passed`.
ExtendibleTable::Entries ExtendibleTable::passing(const Lines& lines, std::size_t passed,
                                                  std::size_t at) {
  Entries found = 0;
  for (Entries used = lines[at].used; used != 0; used &= used - 1) {
    const std::size_t first_line = lines[at].hashes[first_of(used)] & line_mask;
    if (distance(first_line, at) >= distance(passed, at)) found |= used & -used;
  }
  return found;
}

std::size_t ExtendibleTable::longest_search() const {
  std::size_t longest = 0;
  for (const Bucket& bucket : buckets_) {
    for (std::size_t first = 0; first < line_count; ++first) {
      std::size_t walked = 1;
      std::size_t at = first;
      for (; (*bucket.lines)[at].passed != 0 && walked <= line_count; at = after(at)) ++walked;
      longest = std::max(longest, walked);
    }
  }
  return longest;
}

}  // namespace locker::core
