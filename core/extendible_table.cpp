#include "core/extendible_table.hpp"

#include "core/assert.hpp"

namespace locker::core {

ExtendibleTable::ExtendibleTable() {
  buckets_.push_back(std::make_unique<Bucket>());
  directory_.push_back(buckets_.back().get());
}

void ExtendibleTable::insert_into(Bucket& bucket, std::uint32_t hash, std::uint32_t value) {
  std::size_t i = hash & slot_mask;
  while (bucket.slots[i].value != none) i = (i + 1) & slot_mask;
  bucket.slots[i] = {hash, value};
  ++bucket.count;
}

void ExtendibleTable::insert(std::uint32_t hash, std::uint32_t value) {
  LOCKER_ASSERT(value != none);
  while (bucket_of(hash).count >= entries_max) split(hash);
  insert_into(*directory_[directory_index(hash)], hash, value);
  ++size_;
}

void ExtendibleTable::split(std::uint32_t hash) {
  Bucket& lower = *directory_[directory_index(hash)];
  LOCKER_ASSERT(lower.depth < depth_max);
  if (lower.depth == depth_) {
    std::vector<Bucket*> doubled(directory_.size() * 2);
    for (std::size_t i = 0; i < doubled.size(); ++i) doubled[i] = directory_[i / 2];
    directory_ = std::move(doubled);
    ++depth_;
  }
  // The directory's entries for one bucket stand together; the later half goes to the new one.
  const std::size_t span = std::size_t{1} << (depth_ - lower.depth);
  const std::size_t first = directory_index(hash) & ~(span - 1);
  Bucket& upper = *buckets_.emplace_back(std::make_unique<Bucket>());
  for (std::size_t i = first + span / 2; i < first + span; ++i) directory_[i] = &upper;

  const Bucket full = lower;
  lower = Bucket{};
  lower.depth = upper.depth = full.depth + 1;
  for (const Slot& slot : full.slots) {
    if (slot.value == none) continue;
    insert_into(*directory_[directory_index(slot.hash)], slot.hash, slot.value);
  }
}

void ExtendibleTable::erase(std::uint32_t hash, std::uint32_t value) {
  Bucket& bucket = *directory_[directory_index(hash)];
  std::size_t hole = hash & slot_mask;
  while (bucket.slots[hole].value != value) {
    LOCKER_ASSERT(bucket.slots[hole].value != none);
    hole = (hole + 1) & slot_mask;
  }
  // Moves later entries of the run back, so that no tombstones pile up (Knuth, 6.4 algorithm R).
  for (std::size_t i = (hole + 1) & slot_mask; bucket.slots[i].value != none;
       i = (i + 1) & slot_mask) {
    const std::size_t home = bucket.slots[i].hash & slot_mask;
    if (((i - home) & slot_mask) >= ((i - hole) & slot_mask)) {
      bucket.slots[hole] = bucket.slots[i];
      hole = i;
    }
  }
  bucket.slots[hole] = {};
  --bucket.count;
  --size_;
}

}  // namespace locker::core
