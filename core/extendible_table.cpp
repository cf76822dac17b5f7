#include "core/extendible_table.hpp"

#include <utility>

#include "core/assert.hpp"

namespace locker::core {

ExtendibleTable::ExtendibleTable() : buckets_(1), directory_{0} {}

void ExtendibleTable::insert_into(Bucket& bucket, std::uint32_t hash, std::uint32_t value) {
  std::size_t i = hash & slot_mask;
  Slots& slots = *bucket.slots;
  while (slots[i].value != none) i = (i + 1) & slot_mask;
  slots[i] = {hash, value};
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
  // The directory's entries for one bucket stand together; the later half goes to the new one.
  const std::size_t span = std::size_t{1} << (depth_ - depth);
  const std::size_t first = directory_index(hash) & ~(span - 1);
  const auto upper = static_cast<std::uint32_t>(buckets_.size());
  buckets_.emplace_back();
  for (std::size_t i = first + span / 2; i < first + span; ++i) directory_[i] = upper;

  const Bucket full = std::exchange(buckets_[lower], Bucket{});
  buckets_[lower].depth = buckets_[upper].depth = depth + 1;
  for (const Slot& slot : *full.slots) {
    if (slot.value != none) insert_into(bucket_of(slot.hash), slot.hash, slot.value);
  }
}

void ExtendibleTable::erase(std::uint32_t hash, std::uint32_t value) {
  Bucket& bucket = bucket_of(hash);
  Slots& slots = *bucket.slots;
  std::size_t hole = hash & slot_mask;
  while (slots[hole].value != value) {
    LOCKER_ASSERT(slots[hole].value != none);
    hole = (hole + 1) & slot_mask;
  }
  // Moves later entries of the run back, so that no tombstones pile up (Knuth, 6.4 algorithm R).
  for (std::size_t i = (hole + 1) & slot_mask; slots[i].value != none; i = (i + 1) & slot_mask) {
    const std::size_t home = slots[i].hash & slot_mask;
    if (((i - home) & slot_mask) >= ((i - hole) & slot_mask)) {
      slots[hole] = slots[i];
      hole = i;
    }
  }
  slots[hole] = {};
  --bucket.count;
  --size_;
}

}  // namespace locker::core
