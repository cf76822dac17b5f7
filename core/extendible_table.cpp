#include "core/extendible_table.hpp"

#include <new>
#include <utility>

#include "core/assert.hpp"

namespace locker::core {

ExtendibleTable::ExtendibleTable(std::pmr::memory_resource* memory)
    : chunks_(memory), buckets_{{new_slots()}}, directory_{0} {}

ExtendibleTable::Slots* ExtendibleTable::new_slots() {
  static_assert(MemoryChunks::chunk_bytes % sizeof(Slots) == 0);
  constexpr std::size_t slots_in_chunk = MemoryChunks::chunk_bytes / sizeof(Slots);
  if (slots_left_ == 0) {
    chunks_.add();
    slots_left_ = slots_in_chunk;
  }
  std::byte* const place =
      chunks_[chunks_.size() - 1] + (slots_in_chunk - slots_left_--) * sizeof(Slots);
  return new (place) Slots{};
}

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
  buckets_.push_back({new_slots()});
  for (std::size_t i = first + span / 2; i < first + span; ++i) directory_[i] = upper;

  const Slots full = std::exchange(*buckets_[lower].slots, Slots{});
  buckets_[lower].count = 0;
  buckets_[lower].depth = buckets_[upper].depth = depth + 1;
  for (const Slot& slot : full) {
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
