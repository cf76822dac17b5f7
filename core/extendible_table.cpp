#include "core/extendible_table.hpp"

#include "core/assert.hpp"

namespace locker::core {

ExtendibleTable::ExtendibleTable() : directory_{0} {
  buckets_.push_back(std::make_unique<Bucket>());
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
  insert_into(*buckets_[directory_[directory_index(hash)]], hash, value);
  ++size_;
}

void ExtendibleTable::split(std::uint32_t hash) {
  const std::uint32_t full = directory_[directory_index(hash)];
  Bucket& old = *buckets_[full];
  LOCKER_ASSERT(old.depth < depth_max);
  if (old.depth == depth_) {
    std::vector<std::uint32_t> doubled(directory_.size() * 2);
    for (std::size_t i = 0; i < doubled.size(); ++i) doubled[i] = directory_[i / 2];
    directory_ = std::move(doubled);
    ++depth_;
  }
  auto lower = std::make_unique<Bucket>();
  auto upper = std::make_unique<Bucket>();
  lower->depth = upper->depth = old.depth + 1;
  const std::uint32_t bit = 1U << (31 - old.depth);
  for (const Slot& slot : old.slots) {
    if (slot.value == none) continue;
    insert_into((slot.hash & bit) != 0 ? *upper : *lower, slot.hash, slot.value);
  }
  // The directory's entries for one bucket stand together; the later half goes to the new one.
  const std::size_t span = std::size_t{1} << (depth_ - old.depth);
  const std::size_t first = directory_index(hash) & ~(span - 1);
  buckets_[full] = std::move(lower);
  const auto added = static_cast<std::uint32_t>(buckets_.size());
  buckets_.push_back(std::move(upper));
  for (std::size_t i = first + span / 2; i < first + span; ++i) directory_[i] = added;
}

void ExtendibleTable::erase(std::uint32_t hash, std::uint32_t value) {
  Bucket& bucket = *buckets_[directory_[directory_index(hash)]];
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
